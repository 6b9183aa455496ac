"""What `composer unite` refuses: nothing is written, and nothing that is there is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from colours import FIRST, SECOND, colour_home, fill
from unions import options, said, unite


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two networks of two colours each, pictures of all four, and others to test with."""
    return colour_home(tmp_path_factory.mktemp("unite"))


def bad(home: Path, kind: str, folder: Path) -> tuple[list[object], str]:
    """Arguments that cannot be united, and what is to be said of them."""
    a, b, pictures = home / "a.pth", home / "b.pth", home / "pictures"
    both: list[object] = [a, b, *options(home, a=FIRST, b=SECOND)]
    network = ["--architecture", f"{a}={{use: cnn, filters: [3, 3], size: 16}}"]
    if kind == "no names":
        return [a, a, *network, "--pictures", pictures], f"--names {a}=NAME,NAME"
    if kind == "too many names":
        return [a, a, *options(home, a=("x", "y", "z")), "--pictures", pictures], "gives 3 names, and the network has 2"
    if kind == "a name twice":
        return [a, a, *options(home, a=("x", "x")), "--pictures", pictures], "'x' is there twice"
    if kind == "no class":
        return [a, a, *options(home, a=("-", "none")), "--pictures", pictures], "names no class"
    if kind == "names of another file":
        return [*both, "--names", "d.pth=x,y", "--pictures", pictures], "--names d.pth: is none of the checkpoints"
    if kind == "names without a file":
        return [*both, "--names", "x,y", "--pictures", pictures], "--names x,y: say of which checkpoint"
    if kind == "no pictures":
        return [*both, "--pictures", folder / "nowhere"], f"--pictures {folder / 'nowhere'}: there is no such folder"
    if kind == "another folder":
        fill(folder / "odd", {"red": "red", "bleu": "blue"})
        return [*both, "--pictures", folder / "odd"], "no class is called 'bleu'; did you mean 'blue'?"
    if kind == "one picture":
        fill(folder / "one", {"red": "red"}, count=1)
        return [
            *both,
            "--pictures",
            folder / "one",
        ], f"--pictures {folder / 'one'}: has 1 picture, and 20 are the fewest"
    if kind == "sizes that differ":
        wrong = ["--architecture", f"{b}={{use: cnn, filters: [3, 3], size: 32}}", *network]
        names = ["--names", f"{a}=red,green", "--names", f"{b}=blue,white"]
        return [a, b, *wrong, *names, "--pictures", pictures], f"{b}: is no checkpoint of architecture 'cnn'"
    if kind == "an option of a network":
        wrong = ["--architecture", f"{a}={{use: cnn, filtres: [3, 3]}}"]
        return [a, b, *wrong, "--pictures", pictures], f"--architecture {a}:1:12: filtres: unknown option"
    if kind == "NaN":
        state = torch.load(a, weights_only=True)
        state["conv2.weight"][0, 0, 0, 0] = float("nan")
        torch.save(state, folder / "nan.pth")
        more = [text.replace(str(a), str(folder / "nan.pth")) for text in options(home, a=FIRST)]
        rest = [b, *more, *options(home, b=SECOND), "--pictures", pictures]
        return [folder / "nan.pth", *rest], "nan.pth: holds NaN or infinite numbers"
    if kind == "one class":
        return [a, a, *options(home, a=("red", "-")), "--pictures", pictures, "--unlabelled"], "'red': there is nothing"
    if kind == "a test folder without labels":
        return [*both, "--pictures", pictures, "--test", home / "plain"], "has no picture in a folder that is called as"
    if kind == "one network's options":
        return [*both, "--pictures", pictures, "--architecture", "cnn"], "for --one"
    raise ValueError(kind)


@pytest.mark.parametrize(
    "kind",
    [
        "no names",
        "too many names",
        "a name twice",
        "no class",
        "names of another file",
        "names without a file",
        "no pictures",
        "another folder",
        "one picture",
        "sizes that differ",
        "an option of a network",
        "NaN",
        "one class",
        "a test folder without labels",
        "one network's options",
    ],
)
def test_what_cannot_be_united_is_named_and_writes_nothing(home: Path, tmp_path: Path, kind: str) -> None:
    arguments, message = bad(home, kind, tmp_path)
    result = unite(*arguments, "-o", tmp_path / "out")
    assert result.exit_code == 2, result.output
    assert message in said(result)
    assert "Traceback" not in result.output
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_there_already_is_kept(home: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    files = home / "a.pth", home / "b.pth"
    where = "--pictures", home / "pictures", "-o", tmp_path / "out"
    result = unite(*files, *options(home, a=FIRST, b=SECOND), *where)
    assert result.exit_code == 2
    assert "is there already" in said(result)


def test_a_picture_that_cannot_be_read_is_named(home: Path, tmp_path: Path) -> None:
    folder = fill(tmp_path / "pictures", {"red": "red", "blue": "blue"})
    (folder / "red" / "3.png").write_bytes(b"no picture")
    files = home / "a.pth", home / "b.pth"
    result = unite(*files, *options(home, a=FIRST, b=SECOND), "--pictures", folder, "-o", tmp_path / "out")
    assert result.exit_code == 2
    assert "red/3.png" in result.output.replace("\n", "")
    assert "Traceback" not in result.output
