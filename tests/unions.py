"""Unions of small classifiers of colours, made by the command."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from click.testing import CliRunner, Result
from torch import Tensor

from colours import FIRST, SECOND, SIZE
from composer import load
from composer.command_line.cli import main
from composer.models.loading import LoadedModel


def options(home: Path, **named: Sequence[str]) -> list[str]:
    """The checkpoints of a, b, ... with the names of their outputs."""
    given: list[str] = []
    for name, classes in named.items():
        file = home / f"{name}.pth"
        size = 20 if name == "b" else SIZE
        given += ["--names", f"{file}={','.join(classes)}"]
        given += ["--architecture", f"{file}={{use: cnn, filters: [3, 3], size: {size}}}"]
    return given


def unite(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["unite", *map(str, arguments)])


def said(result: Result) -> str:
    return " ".join(result.output.split())


def made(home: Path, folder: Path, files: Sequence[str], *more: object, pictures: str = "pictures") -> LoadedModel:
    """The union of some of the three networks."""
    known = {"a": FIRST, "b": SECOND, "c": ("white", "red")}
    names = options(home, **{name: known[name] for name in dict.fromkeys(files)})
    paths = [home / f"{name}.pth" for name in files]
    result = unite(*paths, *names, "--pictures", home / pictures, *more, "-o", folder)
    assert result.exit_code == 0, result.output
    return load(folder)


def by_class(model: LoadedModel, pixels: Tensor) -> dict[str, Tensor]:
    with torch.no_grad():
        return dict(zip(model.answers, model(pixels).T, strict=True))
