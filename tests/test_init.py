"""`composer init`: out of folders of pictures and models becomes a recipe that passes `composer check`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from composer import Run, Split
from composer.command_line.cli import main
from composer.command_line.stand_ins import _pair, draw_without
from composer.pipeline import load_pictures
from composer.recipes.recipe import Recipe
from composer.recipes.recipe_reader import read_recipe
from composer.registry import load_registry
from composer_cnn import CNN
from composer_drawings import Drawings

SHADES = {"black": 10, "cat": 200, "other": 100}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def pictures(folder: str, shade: int, count: int = 2) -> None:
    Path(folder).mkdir(parents=True)
    for number in range(count):
        Image.new("RGB", (8, 8), (shade, shade, shade + number)).save(Path(folder) / f"{number}.png")


def pixels(file: Path) -> bytes:
    with Image.open(file) as picture:
        return picture.tobytes()


def init(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(main, ["init", *arguments], prog_name="composer")
    assert done.exit_code == code, done.output
    return done.output


def read(file: str = "black_cat.yaml") -> Recipe:
    """The recipe, after `composer check` has found it fine."""
    checked = CliRunner().invoke(main, ["check", file], prog_name="composer")
    assert checked.exit_code == 0, checked.output
    return read_recipe(Path(file))


def shades(recipe: Recipe, concept: str) -> dict[bool, set[int]]:
    """How light the training pictures of a concept are, with and without it."""
    images = load_pictures(recipe)[f"train.{concept}"]
    red = images.at(8)[:, 0, 0, 0].numpy()
    return {shown: set(red[images.labels[concept] == shown].tolist()) for shown in (True, False)}


BOTH = ("--concept", "black", "photos/black", "--concept", "cat", "photos/cat")


def test_concepts_without_pictures_of_no_take_each_others_and_it_says_so() -> None:
    pictures("photos/black", SHADES["black"])
    pictures("photos/cat/yes", SHADES["cat"])
    said = init(*BOTH)
    assert "black: photos/black has no folder `no`, so the pictures of cat are taken for it" in " ".join(said.split())
    assert "only learn to tell one from the other" in " ".join(said.split())
    recipe = read()
    assert shades(recipe, "black") == {True: {SHADES["black"]}, False: {SHADES["cat"]}}
    assert shades(recipe, "cat") == {True: {SHADES["cat"]}, False: {SHADES["black"]}}
    assert recipe.images is None
    assert sorted(recipe.name for recipe in recipe.compositions) == ["distil", "product"]
    text = Path("black_cat.yaml").read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=recipe.schema.json\n")
    assert "# black: photos/black has no folder `no`" in text
    assert "Nothing is judged without test pictures" in text
    assert max(map(len, text.splitlines())) <= 120
    assert sorted(os.listdir("photos")) == ["black", "cat"], "pictures stay as they are"  # noqa: PTH208


def test_pictures_of_no_and_of_three_concepts_are_taken_where_they_lie() -> None:
    pictures("photos/black/yes", SHADES["black"])
    pictures("photos/black/no", SHADES["other"])
    pictures("photos/cat", SHADES["cat"])
    pictures("photos/small", 60)
    init("mine", *BOTH, "--concept", "small", "photos/small")
    recipe = read("mine.yaml")
    assert shades(recipe, "black") == {True: {SHADES["black"]}, False: {SHADES["other"]}}
    assert shades(recipe, "cat") == {True: {SHADES["cat"]}, False: {SHADES["black"], 60}}


def test_drawings_stand_for_no_where_no_other_concept_has_pictures_and_it_says_so() -> None:
    pictures("photos/black", SHADES["black"], 30)
    pictures("photos/mine", SHADES["other"])
    given = ("--concept", "black", "photos/black", "--concept", "tabby", "resnet50")
    said = init(*given)
    assert "so 30 drawings are taken for it; of photographs a model then learns little" in " ".join(said.split())
    assert "# black: photos/black has no folder `no`, and no other" in Path("black_tabby.yaml").read_text("utf-8")
    drawn = sorted(Path("black_tabby_pictures/black/no/drawings").iterdir())
    assert len(drawn) == 30
    assert len({pixels(file) for file in drawn}) == 30, "no two are the same"
    assert len(pixels(drawn[0])) == 3 * 64 * 64
    assert read("black_tabby.yaml").concepts[0].images is not None
    assert "is there already" in init(*given, code=2)
    init(*given, "--force")
    init("other", "--concept", "mine", "photos/mine", "--concept", "tabby", "resnet50")
    assert len(list(Path("other_pictures/mine/no/drawings").iterdir())) == 20, "of what nobody can draw too"


@pytest.mark.parametrize("concept", ["black", "cat", "striped", "a thing that nobody draws"])
def test_no_drawing_that_stands_for_no_shows_the_concept(concept: str) -> None:
    asked, other = _pair(concept, Drawings().vocabulary())
    assert (asked == concept) == (concept in Drawings().vocabulary())
    assert Drawings().vocabulary()[asked] != Drawings().vocabulary()[other]
    pictures("yes", SHADES["black"])
    assert draw_without(concept, Path("yes"), Path("no"), load_registry()) == 20
    images = Drawings(size=64, train=40).load(Split((asked, other), asked), Run())
    without = [picture.tobytes() for picture in images.at(64)[~images.labels[asked]].permute(0, 2, 3, 1).numpy()]
    assert [pixels(file) for file in sorted(Path("no/drawings").iterdir())] == without


def test_folders_that_lie_as_they_should_need_no_links_and_test_pictures_are_judged_by() -> None:
    for concept in ("black", "cat"):
        pictures(f"photos/train/{concept}/yes", SHADES[concept])
        pictures(f"photos/train/{concept}/no", SHADES["other"])
    for cell in ("black+cat", "none"):
        pictures(f"photos/test/{cell}", 50)
    given = (
        "--concept",
        "black",
        "photos/train/black",
        "--concept",
        "cat",
        "photos/train/cat",
        "--test",
        "photos/test",
    )
    assert init(*given) == "black_cat.yaml: composer run black_cat.yaml\n"
    assert not Path("black_cat_pictures").exists()
    recipe = read()
    assert recipe.images is not None
    assert list(recipe.evaluators) == ["recognition"]
    assert set(load_pictures(recipe)) == {"test", "train.black", "train.cat"}


def test_files_of_weights_and_named_networks_become_models() -> None:
    torch.save(CNN().build(2).state_dict(), "black.pth")
    said = init("--concept", "black", "black.pth", "--concept", "tabby", "resnet50", code=2)
    assert "has 2 outputs, and nothing says which mean 'black': --outputs black NUMBER" in said
    assert not Path("black_tabby.yaml").exists()
    given = ("--concept", "black", "black.pth", "--outputs", "black", "1")
    init(*given, "--concept", "tabby", "resnet50", "--output", "new/recipe.yaml")
    black, tabby = read("new/recipe.yaml").concepts
    assert black.models.options()["outputs"] == [1]
    assert black.models.network == CNN()
    assert (tabby.models.name, tabby.models.options()["model"]) == ("torchvision", "resnet50")
    assert [each.name for each in read("new/recipe.yaml").compositions] == ["product"], "nothing to learn from"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("a/b", *BOTH), "NAME: must be letters"),
        (("--concept", "black", "photos/black"), "takes two different concepts or more, not black"),
        (("--concept", "black", "photos/blak", "--concept", "cat", "photos/cat"), "no file or folder photos/blak"),
        (("--concept", "black", "empty", "--concept", "cat", "photos/cat"), "there are no pictures in empty"),
        (("--concept", "black", "photos/black", "--concept", "cats", "resnet50"), "no class or group 'cats'; did you"),
        (("--concept", "black", "photos/black", "--concept", "cat", "resnet5"), "no model is called so"),
        ((*BOTH, "--outputs", "black", "1"), "photos/black is a folder of pictures, and has none"),
        ((*BOTH, "--outputs", "dog", "1"), "--outputs dog: no --concept is called so; there are black, cat"),
        ((*BOTH, "--outputs", "cat", "one"), "must be numbers from 0 up with commas between, not 'one'"),
        ((*BOTH, "--test", "nowhere"), "images.test: no folder"),
        ((*BOTH, "--output", "photos/black/mine.yaml"), "lies among the pictures of black"),
        ((), "this is no terminal on which to ask"),
    ],
)
def test_what_cannot_become_a_recipe_is_said_and_leaves_nothing(arguments: tuple[str, ...], said: str) -> None:
    pictures("photos/black", SHADES["black"])
    pictures("photos/cat", SHADES["cat"])
    Path("empty").mkdir()
    before = sorted(Path().rglob("*"))
    assert said in " ".join(init(*arguments, code=2).split())
    assert sorted(Path().rglob("*")) == before


def test_nothing_is_overwritten_unless_forced_and_never_what_somebody_put_there() -> None:
    pictures("photos/black", SHADES["black"])
    pictures("photos/cat", SHADES["cat"])
    init(*BOTH)
    Path("black_cat.yaml").write_text("mine")
    assert "black_cat.yaml: is there already; --force overwrites it" in init(*BOTH, code=2)
    Path("black_cat.yaml").unlink()
    assert "black_cat_pictures: is there already" in init(*BOTH, code=2)
    Path("black_cat_pictures/note.txt").write_text("mine")
    assert "holds what `composer init` did not make, such as black_cat_pictures/note.txt" in init(
        *BOTH, "--force", code=2
    )
    Path("black_cat_pictures/note.txt").unlink()
    init(*BOTH, "--force")
    assert shades(read(), "black")[True] == {SHADES["black"]}
    assert len(list(Path("photos/black").iterdir())) == 2


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="this system has no terminals of its own")
def test_on_a_terminal_it_asks(here: Path) -> None:
    pictures("photos/black", SHADES["black"])
    pictures("photos/cat", SHADES["cat"])
    ours, theirs = os.openpty()
    answers = ("black", "photos/black", "cat", "photos/cat", "asked", "")
    os.write(ours, "".join(f"{answer}\n" for answer in answers).encode())
    done = subprocess.run(
        [sys.executable, "-m", "composer", "init"],
        stdin=theirs,
        capture_output=True,
        text=True,
        timeout=300,
        cwd=here,
        check=False,
    )
    os.close(theirs)
    os.close(ours)
    assert done.returncode == 0, done.stderr
    assert "The attribute, such as black" in done.stdout
    assert [concept.name for concept in read("asked.yaml").concepts] == ["black", "cat"]
    assert shades(read("asked.yaml"), "cat")[False] == {SHADES["black"]}
