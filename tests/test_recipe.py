from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from composer.errors import RecipeError
from composer.recipes.recipe import Recipe
from composer.recipes.recipe_reader import read_recipe
from conftest import SMALL

Write = Callable[[str], Path]
Read = Callable[..., Recipe]


def problems(path: Path, *overrides: str) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        read_recipe(path, overrides)
    return [str(problem).removeprefix(f"{path}:") for problem in caught.value.problems]


def test_a_recipe_fills_every_slot(small_recipe: Read) -> None:
    recipe = small_recipe()
    assert recipe.names == ("black", "cat")
    assert [arm.name for arm in recipe.compositions] == [
        "cyclegan",
        "product",
        "random",
        "parents.black",
        "parents.cat",
    ]
    assert [arm.control for arm in recipe.compositions] == [False, False, True, True, True]
    assert recipe.evaluators["clusters"].options()["methods"] == ["kmeans"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "epochs: 1}, assembler",
            "epoch: 1}, assembler",
            "7:42: compositions.cyclegan.translator.epoch: unknown option",
        ),
        (
            "epochs: 1}, assembler",
            "epochs: 0}, assembler",
            "compositions.cyclegan.translator.epochs: should be greater",
        ),
        ("epochs: 1}, assembler", "epochs: many}, assembler", "should be a valid integer"),
        ("epochs: 1}, assembler", "epochs: true}, assembler", "epochs: must not be true"),
        ("epochs: 1}, assembler", "epochs: 1.5}, assembler", "should be a valid integer"),
        ("seed: 3", "seed: -3", "2:1: seed: must be a whole number"),
        ("seed: 3", "sead: 3", "2:1: sead: unknown option; did you mean 'seed'?"),
        ("seed: 3", "seed: 3\nseed: 4", "3:1: seed: repeated key"),
        ("[black, cat]", "[black]", "3:1: concepts: a composition needs at least two"),
        ("[black, cat]", "[black, black]", "'black' is named twice"),
        ("[black, cat]", "[black, ../cat]", "must be letters, digits"),
        ("[black, cat]", "[black, catt]", "cat"),
        ("[black, cat]", f"[black, {'c' * 250}]", "has 250 letters, and 50 are the most"),
        ("[black, cat]", f"[black, {'é' * 120}]", "has 120 letters, and 50 are the most"),
        ("  product: ", f"  {'p' * 250}: ", "a composition's name has 250 letters"),
        ("  product: ", "  'product ': ", "must not begin or end with a space"),
        ("epochs: 1}, assembler", "epochs: 1, learning_rate: .inf}, assembler", "finite number"),
        ("use: drawings", "use: drawing", "no image source is called 'drawing'; did you mean 'drawings'?"),
        ("use: drawings, ", "", "images: has no `use: NAME`, to say which image source"),
        ("assembler: product", "assembler: transplant", "assembler 'transplant' needs kernels: add a translator"),
        ("{assembler: product}", "{assembler: product, translator: mean}", "takes the parents, no kernels"),
        ("{assembler: product}", "product", "must be a mapping with assembler"),
        ("[random, parents]", "[randon, parents]", "did you mean 'random'?"),
        ("[random, parents]", "random", "controls: must be a list"),
        ("[recognition,", "[recognition, recognition,", "needs a label of its own"),
        ("members: 3", "members: 0", "models.members: should be greater"),
        ("filters: [2, 3]", "filters: [2, 0]", "models.architecture.filters.1: should be greater"),
        ("filters: [2, 3], size: 16", "size: 9", "models.architecture.size: 9 pixels are too few"),
        ("name: small", "name: a/b", "1:1: name: must be letters"),
        ("name: small", "name: small\nroot: absent", "root: there is no folder"),
        ("use: drawings", f"use: cells, root: {'r' * 300}", "cannot be reached: File name too long"),
        ("name: small", f"name: small\nroot: {'r' * 300}", "root: there is no folder"),
    ],
)
def test_a_mistake_is_answered_with_its_place(recipe_file: Write, old: str, new: str, said: str) -> None:
    assert old in SMALL
    found = problems(recipe_file(SMALL.replace(old, new, 1)))
    assert any(said in problem for problem in found), found


def test_all_mistakes_are_reported_at_once(recipe_file: Write) -> None:
    text = (
        SMALL.replace("seed: 3", "seed: x").replace("members: 3", "member: 3").replace("use: drawings", "use: photos")
    )
    assert len(problems(recipe_file(text))) == 3


@pytest.mark.parametrize(
    ("text", "said"), [("", "the recipe is empty"), ("- a", "a recipe is a mapping"), ("3", "mapping")]
)
def test_a_file_that_is_no_recipe_is_refused(recipe_file: Write, text: str, said: str) -> None:
    assert said in problems(recipe_file(text))[0]


def test_a_missing_file_a_folder_and_binary_are_named(tmp_path: Path) -> None:
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    for path, said in ((tmp_path / "absent.yaml", "no such file"), (tmp_path, "is a folder"), (binary, "not UTF-8")):
        with pytest.raises(RecipeError) as caught:
            read_recipe(path)
        assert str(caught.value).startswith(str(path))
        assert said in str(caught.value)


def test_an_impossible_contract_is_refused(recipe_file: Write) -> None:
    text = SMALL.replace(
        "concepts: [black, cat]",
        "concepts: {black: {models: {use: train, architecture: {use: cnn, size: 16}}}, cat: }",
    )
    found = problems(recipe_file(text))
    assert any("translator 'cyclegan' needs parents of one architecture" in problem for problem in found), found


def test_set_changes_options_however_the_slot_is_written(small_recipe: Read) -> None:
    recipe = small_recipe(
        "seed=9", "models.members=5", "compositions.cyclegan.translator.epochs=2", "evaluators.clusters.reduction=raw"
    )
    assert recipe.seed == 9
    assert recipe.concepts[0].models.options()["members"] == 5
    assert recipe.compositions[0].translator is not None
    assert recipe.compositions[0].translator.options()["epochs"] == 2
    assert recipe.evaluators["clusters"].options()["reduction"] == "raw"


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("models.member=5", "--set models.member=5: models.member: unknown option; did you mean 'members'?"),
        ("models", "--set models: write it as key=value"),
        ("seed.x=1", "seed is 3 and has no parts"),
        ("evaluators.absent.x=1", "the list has no item 'absent'"),
        ("models.members=[", "--set models.members=["),
    ],
)
def test_a_wrong_set_is_answered_as_it_was_written(small_recipe: Read, override: str, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        small_recipe(override)
    assert said in str(caught.value)


def test_the_filled_in_recipe_reads_back_as_the_same(small_recipe: Read, tmp_path: Path) -> None:
    recipe = small_recipe()
    written = tmp_path / "again.yaml"
    written.write_text(yaml.safe_dump(dict(recipe.document), sort_keys=False), encoding="utf-8")
    again = read_recipe(written)
    assert again.document == recipe.document
    assert again.compositions == recipe.compositions


def test_checking_needs_no_torch(recipe_file: Write) -> None:
    code = f"""
import sys; from pathlib import Path
from composer.recipes.recipe_reader import read_recipe
read_recipe(Path({str(recipe_file(SMALL))!r}))
heavy = [name for name in ("torch", "numpy", "sklearn", "matplotlib", "umap") if name in sys.modules]
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True)


PRETRAINED = """\
name: pretrained
concepts:
  black:
  CONCEPT: {models: {use: cifar_resnet, weights: mine.th}CLASSES}
images: {use: drawings, size: 16, train: 80, test: 40}
models: {use: train, members: 3, epochs: 1}
compositions: {product: {assembler: product}}
controls: []
evaluators: [recognition]
"""


@pytest.mark.parametrize(
    ("concept", "classes", "said"),
    [
        (
            "cat",
            ", classes: [cta]",
            "4:66: concepts.cat.classes.0: 'cifar_resnet' has no class 'cta'; did you mean 'cat'",
        ),
        ("cat", ", classes: [cat, 10]", "4:71: concepts.cat.classes.1: 'cifar_resnet' has outputs 0 to 9, not 10"),
        ("cat", ", classes: [-1]", "'cifar_resnet' has outputs 0 to 9, not -1"),
        ("cat", ", classes: true", "'cifar_resnet' has no class True"),
        (
            "chair",
            "",
            "4:11: concepts.chair.models: 'cifar_resnet' has no class 'chair'; did you mean 'car'? (`classes",
        ),
        ("dog", ", classes: [anima]", "did you mean 'animal'"),
    ],
)
def test_classes_that_a_model_has_not_are_named_before_any_work(
    recipe_file: Write, concept: str, classes: str, said: str
) -> None:
    path = recipe_file(PRETRAINED.replace("CONCEPT", concept).replace("CLASSES", classes))
    path.with_name("mine.th").touch()
    (problem,) = problems(path)
    assert said in problem


def test_a_concept_is_the_class_or_the_group_of_its_name_or_what_classes_say(recipe_file: Write) -> None:
    for concept, classes, outputs in (("cat", "", None), ("mug", ", classes: [1, animal, cat]", (1, 2, 3, 4, 5, 6, 7))):
        path = recipe_file(PRETRAINED.replace("CONCEPT", concept).replace("CLASSES", classes))
        path.with_name("mine.th").touch()
        assert read_recipe(path, ["images.use=drawings"]).concepts[1].outputs == outputs


RESNETS = """
concepts:
  black: {models: {use: torchvision, model: resnet18, weights: null, size: 32}, classes: [0]}
  cat: {models: {use: torchvision, model: resnet18, weights: null, size: 32}, classes: [1]}
images: {use: drawings, size: 32}
"""


def test_check_knows_that_kernels_cannot_fill_a_network_with_batch_norm(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(f"{RESNETS}compositions: {{mean: {{translator: mean, assembler: refit}}}}\n")
    with pytest.raises(
        RecipeError, match="assembler 'refit' makes networks of kernels alone, which cannot fill"
    ) as met:
        read_recipe(tmp_path / "r.yaml")
    assert "torchvision resnet18; take the rest from a parent (option `rest`), or use an assembler" in str(met.value)
    assert "controls" not in str(met.value), "what nobody asked for is no error"


@pytest.mark.parametrize("rest", ["object", "mean"])
def test_kernels_can_be_put_among_the_norms_of_a_parent(tmp_path: Path, rest: str) -> None:
    assembler = f"{{use: refit, rest: {rest}}}"
    (tmp_path / "r.yaml").write_text(f"{RESNETS}compositions: {{mean: {{translator: mean, assembler: {assembler}}}}}\n")
    (composition,) = [arm for arm in read_recipe(tmp_path / "r.yaml").compositions if not arm.control]
    assert not composition.assembler.terms.kernels_alone


def test_a_usual_control_that_cannot_work_is_left_out_and_a_named_one_is_an_error(tmp_path: Path) -> None:
    text = f"{RESNETS}compositions: {{product: {{assembler: product}}}}\n"
    (tmp_path / "r.yaml").write_text(text)
    recipe = read_recipe(tmp_path / "r.yaml")
    assert [arm.name for arm in recipe.compositions] == ["product", "parents.black", "parents.cat"]
    assert recipe.document["controls"] == ["parents"]
    (note,) = recipe.notes
    assert note.startswith("the usual control 'random' is left out: assembler 'transplant' makes networks of kernels")
    (tmp_path / "r.yaml").write_text(f"{text}controls: [random, parents]\n")
    with pytest.raises(RecipeError, match=r"`controls: \[parents\]` does without it"):
        read_recipe(tmp_path / "r.yaml")
