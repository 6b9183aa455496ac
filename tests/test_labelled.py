"""Rows that used labelled pictures of the target say so, and no such picture is a test picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import composer
from composer import ComposedModel, ComposerError, Images
from composer.command_line.terminal_results import print_results
from composer.command_line.terminal_runs import print_comparison
from composer.data.files import read_json
from composer.data.records import title_of_row
from composer.pipeline import load_pictures, run_recipe
from composer.recipes.recipe import Recipe
from composer.recipes.recipe_reader import read_recipe
from composer.results.comparing import compare
from composer.running.labelled import refuse_test_pictures
from conftest import TINY
from tiny import tiny_images, tiny_population

FEW = "compositions.few={assembler: {use: few_shot, folder: labels}}"


def write_labels(folder: Path, images: Images, each: int = 2) -> None:
    """Writes some pictures that show the target and some that do not."""
    for answer, kind in (("yes", True), ("no", False)):
        (folder / answer).mkdir(parents=True)
        for index in np.flatnonzero(images.target == kind)[:each]:
            pixels = images.at(16)[index].permute(1, 2, 0).numpy()
            Image.fromarray(pixels).save(folder / answer / f"{index}.png")


@pytest.fixture
def recipe(recipe_file: Callable[[str], Path]) -> Callable[[], Recipe]:
    path = recipe_file(TINY)
    return lambda: read_recipe(path, [FEW])


def test_a_row_that_used_labels_says_so_wherever_it_is_shown(
    recipe: Callable[[], Recipe], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_labels(tmp_path / "labels", tiny_images())
    folder = tmp_path / "run"
    report = run_recipe(recipe(), folder, "cpu")
    assert {name: arm["labels"] for name, arm in report["compositions"].items()} == {
        "product": 0,
        "few": 4,
        "parents.black": 0,
        "parents.cat": 0,
    }
    print_results(report, [])
    assert "few (4 labels)" in capsys.readouterr().out
    page = (folder / "report.html").read_text()
    assert page.count("few (4 labels)") >= 2, "the table and the bars"
    assert "what the labels are worth" in page
    card = (folder / "models" / "few" / "README.md").read_text()
    assert "| **few (4 labels)** |" in card
    assert "4 labelled pictures" in card
    compared: dict[str, Any] = compare([folder])["compositions"]
    assert compared["few"]["run"]["target_labels"] == 4
    assert "target_labels" not in compared["product"]["run"]
    print_comparison(compare([folder]))
    assert "few (4 labels)" in capsys.readouterr().out
    assert "few,false," in (folder / "scores.csv").read_text(), "what programs read has the name alone"
    model = composer.load(folder, composition="few")
    assert torch.isfinite(model(torch.zeros(1, 3, 16, 16, dtype=torch.uint8))).all()
    assert read_json(folder / "models" / "few" / "config.json")["labels"] == 4


def test_labelled_pictures_that_are_test_pictures_are_refused(recipe: Callable[[], Recipe], tmp_path: Path) -> None:
    write_labels(tmp_path / "labels", tiny_images())
    test = load_pictures(recipe())["test"]
    index = int(np.flatnonzero(test.target)[0])
    Image.fromarray(test.at(16)[index].permute(1, 2, 0).numpy()).save(tmp_path / "labels" / "yes" / "leak.png")
    with pytest.raises(ComposerError, match=r"composition 'few': .*leak\.png: is a test picture too \(.*\)"):
        run_recipe(recipe(), tmp_path / "run", "cpu")


def test_test_pictures_are_refused_among_those_without_labels_too(
    recipe_file: Callable[[str], Path], tmp_path: Path
) -> None:
    path = recipe_file(TINY)
    write_labels(tmp_path / "labels", tiny_images())
    test = load_pictures(read_recipe(path))["test"]
    (tmp_path / "others").mkdir()
    Image.fromarray(test.at(16)[0].permute(1, 2, 0).numpy()).save(tmp_path / "others" / "leak.png")
    spread = "{use: few_shot, folder: labels, unlabelled: others, neighbours: 2}"
    recipe = read_recipe(path, [f"compositions.few={{assembler: {spread}}}"])
    with pytest.raises(ComposerError, match=r"composition 'few': .*leak\.png: is a test picture too \(.*\)"):
        run_recipe(recipe, tmp_path / "run", "cpu")


def test_a_student_that_learned_labels_says_so_and_no_test_picture_may_be_one(
    recipe_file: Callable[[str], Path], tmp_path: Path
) -> None:
    path = recipe_file(TINY)
    write_labels(tmp_path / "labels", tiny_images())
    distil = "{use: distil, steps: 3, batch: 16, labels: labels}"
    recipe = read_recipe(path, [f"compositions.student={{assembler: {distil}}}"])
    report = run_recipe(recipe, tmp_path / "run", "cpu")
    assert report["compositions"]["student"]["labels"] == 4
    assert "student (4 labels)" in (tmp_path / "run" / "report.html").read_text()
    test = load_pictures(recipe)["test"]
    Image.fromarray(test.at(16)[0].permute(1, 2, 0).numpy()).save(tmp_path / "labels" / "no" / "leak.png")
    with pytest.raises(ComposerError, match=r"composition 'student': .*leak\.png: is a test picture too"):
        run_recipe(read_recipe(path, [f"compositions.student={{assembler: {distil}}}"]), tmp_path / "again", "cpu")


def test_files_that_are_no_pictures_are_not_compared(tmp_path: Path) -> None:
    (tmp_path / "weights.pth").write_bytes(b"no picture")
    parts = (tiny_population("black", 2), tiny_population("cat", 2))
    refuse_test_pictures(ComposedModel(parts, ("0", "1"), labels=2), [tmp_path / "weights.pth"], tiny_images())


def test_pictures_are_compared_only_where_their_labels_were_used(tmp_path: Path) -> None:
    test = tiny_images()
    write_labels(tmp_path, test, each=1)
    files = sorted(tmp_path.rglob("*.png"))
    parts = (tiny_population("black", 2), tiny_population("cat", 2))
    refuse_test_pictures(ComposedModel(parts, ("0", "1"), labels=0), files, test)
    with pytest.raises(ComposerError, match=r"\.png: is a test picture too \(.*\); and 1 more: what labels"):
        refuse_test_pictures(ComposedModel(parts, ("0", "1"), labels=2), files, test)


def test_runs_that_were_written_before_have_no_labels() -> None:
    assert title_of_row("few", {}) == "few"
    assert title_of_row("few", {"labels": 1}) == "few (1 label)"
