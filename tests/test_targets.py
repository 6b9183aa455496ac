"""`target:` of a recipe: how it is read, what `check` says of it, and what its pictures show."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from shutil import copy

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from PIL import Image

from composer import ComposerError, Expression, Images, ImageSource, Run, Split
from composer.command_line.cli import main
from composer.command_line.summary import recipe_summary
from composer.errors import RecipeError
from composer.pipeline import run_recipe
from composer.recipes.recipe import Recipe
from composer.recipes.recipe_reader import read_data, read_recipe
from composer_cifar10 import Cifar10
from composer_digits import Digits
from composer_drawings import Drawings
from composer_folder import Folder
from conftest import ROOT, SMALL, TINY

Write = Callable[[str], Path]
EITHER_CAT = Expression.parse("(black or white) and cat")


def asking(target: str, concepts: str = "[black, cat]") -> str:
    return SMALL.replace("concepts: [black, cat]", f"concepts: {concepts}\ntarget: {target}")


def recipe(target: str, concepts: str = "[black, cat]") -> Recipe:
    return read_data(yaml.safe_load(asking(target, concepts)), "r.yaml")


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("black and or cat", "'black and or cat' has 'or' at letter 11; a concept is needed"),
        ("black and", "'black and' ends where a concept"),
        ("(black", "ends where ')'"),
        ("cat and not blak", "has 'blak' at letter 13, and the recipe has no such concept; did you mean 'black'?"),
        ("dog or fish", "has 'fish' at letter 8, and the recipe has no such concept; there are black, cat"),
        ("black+dog", "has 'dog' at letter 1, and"),
        ("black and not black", "no picture can show 'black and not black', so there is nothing to find"),
        ("not (cat and not cat)", "every picture shows 'not (cat and not cat)', so there is nothing to tell it from"),
        ("[black, cat]", "must be a formula such as black and not cat, not ['black', 'cat']"),
        ("", "must be a formula such as black and not cat, not None"),
        (" or ".join(["black"] * 30), "has 266 letters, and 200 are the most"),
    ],
)
def test_a_formula_that_is_none_is_refused_with_its_place(recipe_file: Write, target: str, said: str) -> None:
    path = recipe_file(asking(target))
    with pytest.raises(RecipeError) as caught:
        read_recipe(path)
    found = [str(problem) for problem in caught.value.problems]
    assert any(problem.startswith(f"{path}:4:1: target: ") and said in problem for problem in found), found


def test_every_unknown_concept_is_named_at_once() -> None:
    with pytest.raises(RecipeError) as caught:
        recipe("dog and not fish")
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize(("target", "word"), [("black and white", "no"), ("not (black and white)", "every")])
def test_what_the_pictures_can_never_or_always_show_is_refused(target: str, word: str) -> None:
    with pytest.raises(RecipeError, match=rf"target: {word} picture of 'drawings' (can )?shows? '{target[:3]}"):
        recipe(target, "[black, white, cat]")


def test_all_concepts_at_once_are_the_default_however_they_are_written() -> None:
    for written in ("black and cat", "cat and black", "black+cat", "not not black and cat"):
        found = recipe(written)
        assert found.formula is None, written
        assert str(found.target) == "black+cat"
        assert "target" not in found.document


def test_the_document_holds_the_formula_and_is_read_as_the_same() -> None:
    found = recipe("(cat) and (not black)")
    assert found.document["target"] == "cat and not black"
    assert read_data(found.document, "again").formula == found.formula == Expression.parse("cat and not black")


def test_a_concept_that_the_formula_leaves_out_is_named_in_a_note() -> None:
    (note,) = [note for note in recipe("black and cat", "[black, striped, cat]").notes if "target" in note]
    assert note.startswith("the target does not name 'striped'")
    assert not [note for note in recipe("black or cat").notes if "target" in note]


@pytest.mark.parametrize(
    ("target", "concepts", "lines"),
    [
        (
            "(black or white) and cat",
            "[black, white, cat]",
            [
                "  target        black+cat, white+cat",
                "  others        black, white, cat, none",
                "  left out      black+cat, white+cat: must not be in training pictures",
            ],
        ),
        (
            "cat and not black",
            "[black, cat]",
            [
                "  target        cat",
                "  others        black+cat, black, none",
                "  left out      black+cat: must not be in training pictures",
            ],
        ),
        (
            "black or white",
            "[black, white]",
            ["  target        black, white", "  others        none", "  left out      nothing"],
        ),
    ],
)
def test_check_says_which_cells_are_the_target_and_which_training_leaves_out(
    recipe_file: Write, target: str, concepts: str, lines: list[str]
) -> None:
    result = CliRunner().invoke(main, ["check", str(recipe_file(asking(target, concepts)))])
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[1:4] == lines


def test_check_says_of_models_that_are_not_trained_here_that_nobody_knows_what_they_saw() -> None:
    data = yaml.safe_load(asking("cat and not black")) | {
        "concepts": {"black": None, "cat": {"models": "efficientnet_lite"}},
        "compositions": {"product": {"assembler": "product"}},
        "controls": ["parents"],
    }
    lines = recipe_summary(read_data(data, "r.yaml"))
    assert lines[3].endswith("black+cat: must not be in training pictures; what models of cat have seen is not known")


def test_without_a_formula_check_is_as_short_as_ever(recipe_file: Write) -> None:
    assert "left out" not in CliRunner().invoke(main, ["check", str(recipe_file(SMALL))]).output


@pytest.mark.parametrize(
    ("target", "concepts", "apart"),
    [
        (None, ("small", "black", "cat"), "small and black and cat"),
        ("(black or white) and cat", ("black", "white", "cat"), "black and cat or white and cat"),
        ("cat and not black", ("black", "cat"), "black and cat"),
        ("black or cat", ("black", "cat"), "black and cat"),
        ("not (black or cat)", ("black", "cat"), "black and cat"),
        ("black and cat", ("black", "striped", "cat"), "black and cat"),
        ("cat and black and not striped", ("black", "striped", "cat"), "black and cat"),
        ("small or black and cat", ("small", "black", "cat"), "small and black or small and cat or black and cat"),
        ("not cat", ("black", "cat"), "black and cat"),
    ],
)
def test_training_leaves_out_what_the_target_shows_together(
    target: str | None, concepts: tuple[str, ...], apart: str
) -> None:
    split = Split(concepts, formula=None if target is None else Expression.parse(target))
    assert split.held_out.text == apart


def load(source: ImageSource, formula: Expression, concepts: tuple[str, ...], concept: str | None = None) -> Images:
    return source.load(Split(concepts, concept, formula=formula), Run(seed=1))


@pytest.mark.parametrize("concept", ["black", "white", "cat"])
def test_no_training_drawing_shows_a_part_of_an_or(concept: str) -> None:
    images = load(Drawings(size=16, train=240), EITHER_CAT, ("black", "white", "cat"), concept)
    words = [set(name.split()[:4]) for name in images.names]
    assert not [one for one in words if "cat" in one and one & {"black", "white"}]
    assert images.labels[concept].sum() == 120
    for label in (True, False):
        own = [one for one, shown in zip(words, images.labels[concept], strict=True) if shown == label]
        hidden = {"black", "white"} if concept == "cat" else {"cat"}
        assert not [one for one in own if one & hidden], "its absence would give the label away"


def test_test_pictures_fill_every_cell_that_can_be() -> None:
    images = load(Drawings(size=16, test=61), EITHER_CAT, ("black", "white", "cat"))
    counts = Counter(images.cells)
    assert set(counts) == {"black+cat", "white+cat", "black", "white", "cat", "none"}
    assert set(counts.values()) == {10, 11}
    for name, cell in zip(images.names, images.cells, strict=True):
        assert set(cell.split("+")) - {"none"} == {"black", "white", "cat"} & set(name.split()), name


def test_digits_are_tested_on_the_cells_that_can_be_and_trained_on_one_concept_alone() -> None:
    concepts, formula = ("green", "red", "seven"), Expression.parse("seven and not (green or red)")
    source = Digits(size=16, train=60, test=60)
    assert set(load(source, formula, concepts).cells) == {"green+seven", "red+seven", "green", "red", "seven", "none"}
    words = [set(name.split()[:2]) for name in load(source, formula, concepts, "seven").names]
    assert not [one for one in words if one & {"green", "red"}]


@pytest.mark.parametrize("source", [Drawings(size=16, train=120, test=60), Digits(size=16, train=120, test=60)])
def test_half_of_an_oracles_pictures_are_of_the_targets_cells_equally(source: ImageSource) -> None:
    colours, thing = ("green", "red"), "cat" if isinstance(source, Drawings) else "seven"
    formula = Expression.parse(f"(green or red) and {thing}")
    images = source.load(Split((*colours, thing), labelled=True, formula=formula), Run(seed=1))
    assert np.array_equal(images.asked_for(formula).target, formula.holds(images.labels))
    counts = Counter(images.cells)
    assert [counts[f"{colour}+{thing}"] for colour in colours] == [30, 30]
    assert [counts[cell] for cell in ("green", "red", thing, "none")] == [15] * 4


def test_a_target_that_leaves_nothing_to_train_on_is_refused() -> None:
    formula = Expression.parse("(small or large) and cat")
    with pytest.raises(ComposerError, match="that is every size; leave a size out of the target"):
        load(Drawings(size=16), formula, ("small", "large", "cat"), "cat")
    assert not list(Drawings().split_problems(Split(("small", "large", "cat"), "small", formula=formula)))


def test_two_values_of_a_factor_need_a_formula() -> None:
    concepts = ("black", "white", "cat")
    ((_, message),) = Drawings().split_problems(Split(concepts))
    assert "'black' and 'white' are both a colour" in message
    assert not list(Drawings().split_problems(Split(concepts, formula=EITHER_CAT)))


PAGE = (ROOT / "docs" / "formulas.md").read_text(encoding="utf-8")
"""The page on formulas."""


def block(language: str) -> str:
    """The first block of the page in a language."""
    found = re.search(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


def test_the_page_on_formulas_shows_the_recipe_that_is_shipped_and_what_check_says_of_it() -> None:
    file = ROOT / "recipes" / "black_or_white_cat.yaml"
    assert yaml.safe_load(block("yaml")) == yaml.safe_load(file.read_text(encoding="utf-8"))
    printed = CliRunner().invoke(main, ["check", str(file)]).output
    assert printed.splitlines()[:4] == block("text").splitlines()


def test_the_commands_and_the_python_of_the_page_on_formulas_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    data = yaml.safe_load(TINY) | yaml.safe_load("{concepts: [black, white, cat], target: (black or white) and cat}")
    run_recipe(read_data(data, "r.yaml"), Path("runs/black_or_white_cat"), "cpu")
    Path("holiday").mkdir()
    Image.new("RGB", (60, 40), (20, 20, 20)).save("holiday/1.jpg")
    (asked,) = re.findall(r"^composer (predict .*)$", PAGE, re.MULTILINE)
    result = CliRunner().invoke(main, shlex.split(asked))
    assert result.exit_code == 0, result.output
    assert "cat and not black" in result.output
    capsys.readouterr()
    exec(compile(block("python"), "docs/formulas.md", "exec"), {})
    assert "holiday/1.jpg" in capsys.readouterr().out


def folders(root: Path, *places: str) -> Folder:
    """A source of folders with two pictures in each, all different unless they lie side by side on purpose."""
    for number, place in enumerate(places):
        (root / place).mkdir(parents=True)
        for index in range(2):
            colour = (20 * number, 100 * index, 5 * number)
            Image.new("RGB", (8, 8), colour).save(root / place / f"{index}.png")
    return Folder.model_validate({"size": 8}, context={"root": root})


def test_folders_need_a_cell_of_the_target_and_another_one(tmp_path: Path) -> None:
    concepts = ("black", "white", "cat")
    source = folders(tmp_path, "test/white+cat", "test/cat")
    asked = Split(concepts, formula=EITHER_CAT)
    assert not list(source.split_problems(asked)), "white cats are the target too"
    ((_, missing),) = source.split_problems(Split(concepts, formula=Expression.parse("black and not cat")))
    assert "which has to show the target" in missing
    ((_, alone),) = source.split_problems(Split(concepts, formula=Expression.parse("cat")))
    assert "no pictures of any cell but" in alone
    run = Run()
    images = source.load(asked, run)
    assert images.asked_for(EITHER_CAT).target.tolist() == [True, True, False, False]
    assert next(warning for warning in run.warnings if "black+cat" in warning).endswith(
        "so the scores do not say whether these are known as (black or white) and cat"
    )


def test_a_training_picture_of_what_is_kept_apart_is_warned_of(tmp_path: Path) -> None:
    sides = [f"train/{concept}/{side}" for concept in ("black", "white", "cat") for side in ("yes", "no")]
    source = folders(tmp_path, *sides)
    copy(tmp_path / "train/white/yes/0.png", tmp_path / "train/cat/yes/white.png")
    run = Run()
    source.load(Split(("black", "white", "cat"), "cat", formula=EITHER_CAT), run)
    (warning,) = run.warnings
    assert "1 pictures of train.cat show white+cat, for they also lie in `yes` of white" in warning
    plain = Run()
    source.load(Split(("black", "white", "cat"), "cat"), plain)
    assert plain.warnings == [], "of all three at once there is none"


def test_photographs_are_tinted_in_every_colour_that_a_formula_asks_for(tmp_path: Path) -> None:
    classes = np.arange(200) % 10
    pixels = np.random.default_rng(0).integers(60, 196, (200, 32, 32, 3), dtype=np.uint8)
    file = tmp_path / "cifar10.npz"
    np.savez(file, x_train=pixels, y_train=classes, x_test=pixels, y_test=classes)
    source = Cifar10.model_validate({"file": file})
    concepts, formula = ("red", "blue", "cat"), Expression.parse("(red or blue) and cat")
    test = load(source, formula, concepts)
    assert Counter(test.cells) == dict.fromkeys(("red+cat", "blue+cat", "red", "blue", "cat", "none"), 5)
    ((_, message),) = source.split_problems(Split(concepts))
    assert "'red' and 'blue' are both a colour" in message
