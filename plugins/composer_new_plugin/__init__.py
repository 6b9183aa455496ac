"""The command that writes a new plugin: a whole distribution that installs, passes its tests, and is there to edit."""

from __future__ import annotations

import builtins
import datetime
import keyword
import re
import shutil
from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from string import Template

import click

import composer
from composer import (
    Assembler,
    ComposerError,
    Criterion,
    Evaluator,
    ImageSource,
    KernelExtractor,
    ModelSource,
    Translator,
)

KINDS = {
    Translator.kind: "blending",
    KernelExtractor.kind: "extraction",
    Assembler.kind: "assembly",
    Criterion.kind: "picking",
    Evaluator.kind: "evaluation",
    ImageSource.kind: "drawing",
    ModelSource.kind: "fitting",
}
"""Kind -> the module that does the work; a folder of templates each."""
NOUNS = {
    each.kind: each.noun
    for each in (Translator, KernelExtractor, Assembler, Criterion, Evaluator, ImageSource, ModelSource)
}
"""Kind -> what people call it."""
NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
LONGEST = 29
"""Letters in a name: the lines of the templates have room for so many."""


@click.command(
    "new-plugin",
    epilog="\n".join(
        [
            "\b",  # keeps click from joining the lines
            "Examples:",
            "  composer new-plugin blend --kind translator",
            "  composer new-plugin brier --kind evaluator --output ../my_evaluator",
        ]
    ),
)
@click.argument("name")
@click.option("--kind", type=click.Choice(list(KINDS)), required=True, help="What its component does.")
@click.option(
    "--output", type=click.Path(path_type=Path), help="Folder to write; new or empty.  [default: composer-NAME]"
)
def new_plugin(name: str, kind: str, output: Path | None) -> None:
    """Write a new plugin.

    A whole distribution, to be edited: a component that works, which recipes call NAME, its tests with the contract
    checks, a recipe that uses it, README, licence and CI. Install it with pip install -e.
    """
    name = name.replace("-", "_")  # as distributions are written: my-translator
    require_name(name)
    folder = output or Path(distribution(name))
    require_empty(folder)
    write(folder, rendered(name, kind))
    click.echo(f"{folder}: {article(NOUNS[kind])} {NOUNS[kind]} called {name}, and its tests. Next:")
    click.echo(f"  cd {folder}\n  pip install -e '.[dev]'\n  composer list-plugins\n  pytest")


def distribution(name: str) -> str:
    """What the package registry will know it as."""
    return f"composer-{name.replace('_', '-')}"


def package(name: str) -> str:
    """What Python will import."""
    return f"composer_{name}"


def class_name(name: str) -> str:
    """half_and_half -> HalfAndHalf."""
    return "".join(part.capitalize() for part in name.split("_"))


def article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def require_name(name: str) -> None:
    """Raises ComposerError where a name cannot be used, or is in use."""
    if not NAME.fullmatch(name):
        suggestion = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_0123456789")
        hint = f"; try {suggestion!r}" if NAME.fullmatch(suggestion) and len(suggestion) <= LONGEST else ""
        raise ComposerError(
            f"{name!r} cannot be the name of a plugin: it must be lower-case words of a-z and 0-9, joined by "
            f"underscores, the first beginning with a letter{hint}"
        )
    if len(name) > LONGEST:
        raise ComposerError(f"{name!r} is too long for a name: {len(name)} letters, and {LONGEST} are the most")
    import yaml  # `--help` is quick without

    if not isinstance(yaml.safe_load(name), str):
        raise ComposerError(f"{name!r} cannot be the name of a plugin: YAML reads it as {yaml.safe_load(name)!r}")
    made = class_name(name)
    if made in composer.__all__ or hasattr(builtins, made) or keyword.iskeyword(made) or made in ("Field", "Tensor"):
        raise ComposerError(f"{name!r} would make a class called {made}, which is a name in use; choose another")
    require_free(name)


def require_free(name: str) -> None:
    """Raises ComposerError where an installed plugin, component or package has that name."""
    registry = composer.load_registry()
    for component, plugin in registry.components():
        if name == component.name:
            raise ComposerError(
                f"{name!r} is already {article(component.noun)} {component.noun} of {plugin.distribution} (plugin "
                f"{plugin.name!r}); choose another name"
            )
    for plugin in registry.plugins:
        if name == plugin.name:
            raise ComposerError(f"{name!r} is already a plugin of {plugin.distribution}; choose another name")
    if find_spec(package(name)) is not None:
        raise ComposerError(f"a package called {package(name)!r} is already installed; choose another name")


def require_empty(folder: Path) -> None:
    """Raises ComposerError where something is in the way."""
    if folder.is_dir():
        there = sorted(entry.name for entry in folder.iterdir())
        if there:
            listed = ", ".join(there[:3]) + (", ..." if len(there) > 3 else "")
            raise ComposerError(f"{folder}: the folder is not empty ({listed}); choose another with --output")
    elif folder.exists() or folder.is_symlink():
        raise ComposerError(f"{folder}: is a file, where a folder is to be written; choose another with --output")


def rendered(name: str, kind: str) -> dict[PurePosixPath, str]:
    """Path in the distribution -> text, from the templates of all kinds and of this one."""
    values = {
        "name": name,
        "class_name": class_name(name),
        "package": package(name),
        "module": KINDS[kind],
        "distribution": distribution(name),
        "kind": kind,
        "noun": NOUNS[kind],
        "article": article(NOUNS[kind]),
        "article_upper": article(NOUNS[kind]).capitalize(),
        "composer_version": composer.__version__,
        "year": str(datetime.datetime.now(datetime.UTC).year),
    }
    templates = resources.files("composer_new_plugin") / "templates"
    found = {**_files(templates / "common"), **_files(templates / kind)}
    return {_path(path, values): Template(file.read_text("utf-8")).substitute(values) for path, file in found.items()}


def _files(folder: Traversable) -> dict[PurePosixPath, Traversable]:
    """Path below the folder -> file, of all files at any depth."""
    found = {}
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        inside = _files(entry) if entry.is_dir() else {PurePosixPath(): entry}
        found.update({entry.name / path: file for path, file in inside.items()})
    return found


def _path(path: PurePosixPath, values: Mapping[str, str]) -> PurePosixPath:
    """dot_github/workflows/test.yml.txt -> .github/workflows/test.yml; package/ and component take the plugin's name.

    The templates end in .txt, so that no tool takes them for Python or for hidden files.
    """
    renamed = {"package": values["package"], "test_component.py": f"test_{values['name']}.py"}
    parts = [re.sub("^dot_", ".", part.removesuffix(".txt")) for part in path.parts]
    return PurePosixPath(*(renamed.get(part, part) for part in parts))


def write(folder: Path, files: Mapping[PurePosixPath, str]) -> None:
    """Writes all files, or leaves things as they were; ComposerError where the folder cannot be written."""
    made = next((above for above in reversed((folder, *folder.parents)) if not above.exists()), None)
    try:
        for path, text in files.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8", newline="\n")
    except BaseException as error:  # also Ctrl-C: nothing stays half-written
        for entry in [made] if made else list(folder.iterdir()):
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            elif entry.exists():
                entry.unlink()
        if isinstance(error, OSError):
            raise ComposerError(f"{folder}: cannot be written: {error.strerror or error}") from None
        raise
