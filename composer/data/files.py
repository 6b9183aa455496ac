"""Files that are written whole or not at all, and what disks refuse, in a sentence; nothing here imports torch."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from composer.errors import ComposerError

if TYPE_CHECKING:
    from pydantic import BaseModel

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
"""Of files that are taken for pictures, in capitals too."""
PART = ".part-"
"""What is being written begins with this, then the machine and the process that write it."""
MENDED = {
    errno.ENOSPC: "free space on that disk, or name a folder on another one",
    errno.EDQUOT: "your quota on that disk is used up: free space there, or name a folder on another one",
    errno.EFBIG: "larger files are not allowed here (ulimit -f, or the kind of disk); name a folder elsewhere",
    errno.EROFS: "the disk takes no writing; name a folder on another one",
    errno.EACCES: "you may not write there; change its permissions, or name another folder",
    errno.EPERM: "you may not write there; change its permissions, or name another folder",
    errno.ENOENT: "the folder was moved or deleted while composer worked",
    errno.ENOTDIR: "a file stands where a folder was",
    errno.EISDIR: "a folder stands where a file was; move it away",
    errno.EEXIST: "something else stands there; move it away",
    errno.ENOTEMPTY: "something else writes into the same folder",
    errno.ENAMETOOLONG: "the disk takes no names that long; use shorter ones",
    errno.EIO: "the disk is failing; name a folder on another one",
}
"""What the user can do, by the system's error number."""
GO_ON = "what was finished is kept: the same command goes on from there"


AGAIN = "edited or cut; run its recipe again, which computes nothing that is kept"


def is_picture(file: str | Path) -> bool:
    """Whether a file's name is that of a picture (.jpg, .PNG, ...) and not of a hidden file; nothing is opened."""
    name = Path(file).name
    return Path(name).suffix.lower() in PICTURE_SUFFIXES and not name.startswith(".")


def picture_files(folder: Path) -> list[Path]:
    """Every picture in a folder and the folders in it, in the order of the names; nothing hidden."""
    found = (path for path in sorted(folder.rglob("*")) if is_picture(path) and path.is_file())
    return [path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts)]


@contextmanager
def writing(place: Path) -> Iterator[None]:
    """Turns what the system says against writing at `place` into a ComposerError that says what to do.

    Errors of safetensors, which hold the system's only in words, are among them.
    """
    try:
        yield
    except OSError as error:
        raise refused(place, error) from error
    except Exception as error:
        if type(error).__name__ != "SafetensorError":
            raise
        met = re.search(r"\(os error (\d+)\)|Os \{ code: (\d+),", str(error))  # the second before safetensors 0.5
        number = next((number for number in MENDED if met and str(number) in met.groups()), None)
        if number is None and "No such file or directory" in str(error):
            number = errno.ENOENT
        said = OSError(number, os.strerror(number)) if number else OSError(" ".join(str(error).split()))
        raise refused(place, said) from error


def make_writable(folder: Path, subject: str, mend: str = "") -> None:
    """Makes a folder and tries to write there, before any work; ComposerError where that is refused.

    subject: begins the message, such as `--output FOLDER:`. mend: ends it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = part_of(folder / "probe")
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ComposerError(f"{subject} cannot be written: {error.strerror or error}{mend}") from None


def refused(place: Path, error: OSError) -> ComposerError:
    """The sentence for a write that the system refused."""
    file = error.filename if isinstance(error.filename, str) else place
    what = error.strerror or str(error)
    mend = MENDED.get(error.errno or 0)
    return ComposerError(f"{file}: cannot be written: {what}{f'; {mend}' if mend else ''}; {GO_ON}")


def part_of(place: Path) -> Path:
    """A name beside `place` for what is not yet whole; it says which process of which machine writes it."""
    return place.with_name(own_name(PART))


def own_name(prefix: str) -> str:
    """A name that nobody else has, and that says which process of which machine made it."""
    return f"{prefix}{machine()}-{os.getpid()}-{uuid4().hex}"


def maker(name: str, prefix: str) -> int | None:
    """The process of this machine that made a file of this name; None where another machine did, or nobody knows."""
    of, _, rest = name.removeprefix(prefix).partition("-")
    process = rest.partition("-")[0]
    return int(process) if of == machine() and process.isdigit() else None


def clear_parts(folder: Path) -> None:
    """Removes what dead processes of this machine had begun in `folder`; another machine's stays: it may be alive."""
    for leftover in folder.glob(f"{PART}*"):
        process = maker(leftover.name, PART)
        if process is not None and not running(process):
            remove(leftover)


@cache
def machine() -> str:
    """The sign of the machine: of its name, its identity, and the space in which its processes are numbered.

    Two containers that share a folder number their processes each from 1, and see nothing of the other's.
    """
    facts = [platform.node()]
    with suppress(OSError, UnicodeDecodeError):  # not on every system, and not in every container
        facts.append(Path("/etc/machine-id").read_text(encoding="utf-8"))
    with suppress(OSError):
        facts.append(os.readlink("/proc/self/ns/pid"))  # noqa: PTH115  # no path
    return hashlib.sha256("\0".join(facts).encode()).hexdigest()[:12]


def running(process: int) -> bool:
    """Whether a process of that number exists on this machine."""
    if os.name == "nt":  # os.kill would end it; whoever asks holds the folder's lock
        return process == os.getpid()
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def remove(place: Path) -> None:
    """Removes a folder with all in it, a file, or a link without what it leads to."""
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place, ignore_errors=True)
    else:
        place.unlink(missing_ok=True)


def put_in_place(part: Path, home: Path) -> None:
    """Gives a folder that is whole its name; what was called so is removed, or stays where the system refuses."""
    old = part_of(home)
    try:
        if os.path.lexists(home):
            home.rename(old)
        part.rename(home)
    except BaseException:
        if os.path.lexists(old) and not os.path.lexists(home):
            old.rename(home)
        raise
    remove(old)


def require_free(folder: Path, hint: str = "give another name") -> None:
    """Raises ComposerError where something is there that --output names. hint: what to do then."""
    if os.path.lexists(folder):
        raise ComposerError(f"--output {folder}: is there already; {hint}")


@contextmanager
def new_folder(folder: Path, replace: bool = False) -> Iterator[Path]:
    """A folder beside, to be filled, which then gets the name of `folder`: there whole, or not at all.

    replace: what is called so is removed; else ComposerError where something is.
    """
    part = part_of(folder)
    if not replace:
        require_free(folder)
    with writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.mkdir()
            yield part
            if not replace:
                require_free(folder)  # somebody may have made it meanwhile
            put_in_place(part, folder)
        finally:
            remove(part)


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Lets `write` fill a file beside, which then gets its name: there complete, or not at all."""
    part = part_of(path)
    with writing(path):
        try:
            write(part)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes a text file at once."""
    write_whole(path, lambda part: part.write_text(text, encoding="utf-8"))


def write_json(path: Path, data: Any) -> None:
    """Writes JSON at once; NaN and infinity are refused, because JSON has no such numbers."""
    write_text(path, json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def read_part(file: Path, record: type[BaseModel], again: str = AGAIN) -> dict[str, Any]:
    """A JSON file of composer's that holds what `record` asks for; ComposerError that says what is wrong with it.

    again: what to do where it is damaged.
    """
    from pydantic import ValidationError

    try:
        content = json.loads(file.read_text(encoding="utf-8"), parse_constant=_no_number)
    except FileNotFoundError:
        raise ComposerError(f"{file.parent}: damaged: {file.name} is missing") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ComposerError(f"{file}: damaged: {one_line(error)}; {again}") from None
    if not isinstance(content, dict):
        raise ComposerError(f"{file}: damaged: it is no mapping; {again}")
    try:
        record.model_validate(content)
    except ValidationError as error:
        raise ComposerError(f"{file}: damaged: {_faults(error.errors())}; {again}") from None
    return content


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")


def _faults(found: Sequence[Mapping[str, Any]]) -> str:
    """`it lacks seed; compositions.product.members: Input should be ...`: the first three."""
    lacking = [str(one["loc"][0]) for one in found if one["type"] == "missing" and len(one["loc"]) == 1]
    said = [f"it lacks {', '.join(lacking)}"] if lacking else []
    for one in found:
        if one["type"] != "missing" or len(one["loc"]) > 1:
            where = ".".join(str(part)[:80] for part in one["loc"])
            said.append(f"{where}: {_message(one)}" if where else _message(one))
    return "; ".join(said[:3]) + (f"; and {len(said) - 3} more" if len(said) > 3 else "")


def _message(one: Mapping[str, Any]) -> str:
    message = str(one["msg"]).removeprefix("Value error, ")
    return message if one["type"] in ("missing", "value_error") else f"{message}, not {str(one['input'])[:40]!r}"


def one_line(error: BaseException) -> str:
    """What an error says, on one line."""
    return " ".join(str(error).split())
