"""Tiny photographs in folders or in a table with a row for each, as the image source `cells` reads them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from composer import Images, Run, Split
from composer_cells import Cells

CONCEPTS = ("black", "tshirt")
TEST = Split(CONCEPTS)
BLACK = Split(CONCEPTS, "black")
TSHIRT = Split(CONCEPTS, "tshirt")
CELLS = [(colour, garment) for colour in ("black", "blue", "red") for garment in ("tshirt", "trousers")]
GROUPS = 5
"""Groups of each cell, with two pictures each."""
HEADER = "file,attribute,object,group"


def draw(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)).save(path)


def rows_of(cells: Iterable[Sequence[str]] = CELLS) -> list[str]:
    """A row for each picture; a person has pictures of every cell."""
    return [
        f"{number}-{group}-{copy}.png,{','.join(cell)},person {group}"
        for number, cell in enumerate(cells)
        for group in range(GROUPS)
        for copy in range(2)
    ]


def write(root: Path, rows: Sequence[str], header: str = HEADER, drawn: bool = True) -> Path:
    (root / "labels.csv").write_text("\n".join([header, *rows, ""]), encoding="utf-8")
    for seed, row in enumerate(rows if drawn else ()):
        draw(root / row.split(",")[0], seed)
    return root


def source(home: Path, /, **options: Any) -> Cells:
    return Cells.model_validate(options, context={"root": home})


def load(home: Path, asked: Split = TEST, /, **options: Any) -> tuple[Images, list[str]]:
    run = Run()
    return source(home, **options).load(asked, run), run.warnings


def said(home: Path, asked: Split = TEST, /, **options: Any) -> list[str]:
    return [f"{option}: {message}" for option, message in source(home, **options).split_problems(asked)]


def group_of(name: str) -> str:
    return name.split("-")[1]
