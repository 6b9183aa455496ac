"""`composer compose`: a phrase made a model out of a zoo, as a folder that `composer.load` reads."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from click.testing import CliRunner, Result
from PIL import Image

from composer import ComposerError, Expression, Images, Run, Zoo, load
from composer.command_line.cli import main
from composer.recipes.recipe_reader import read_recipe
from composer.recipes.schema import MODELINE
from composer.zoo.composing import balanced, make
from composer.zoo.learning import few
from composer.zoo.made_folder import what_is_known, write
from composer.zoo.phrases import understand_in
from composer.zoo.scoring import read_test_folder
from composer.zoo.writing import Entry
from tiny import tiny_images, tiny_population

KINDS = {"small": "attribute", "black": "attribute", "white": "attribute", "cat": "object", "dog": "object"}


@pytest.fixture
def zoo(tmp_path: Path) -> Zoo:
    """Untrained networks, three members each."""
    zoo = Zoo(tmp_path / "zoo")
    for seed, (name, kind) in enumerate(KINDS.items()):
        zoo.add(name, tiny_population(name, seed=seed), kind=kind)  # type: ignore[arg-type]  # a literal
    return zoo


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    """Six pictures of each cell of black and cat."""
    images = tiny_images(per_cell=6)
    for index, (cell, pixels) in enumerate(zip(images.cells, images.at(16), strict=True)):
        save(tmp_path / "cells" / cell / f"{index}.png", pixels.permute(1, 2, 0).numpy())
    return tmp_path / "cells"


def save(file: Path, pixels: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file)


def compose(zoo: Zoo, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["compose", "--zoo", str(zoo.folder), *arguments])


def made(zoo: Zoo, folder: Path, *arguments: str) -> str:
    """What the command says where it succeeds."""
    said = compose(zoo, "--output", str(folder), *arguments)
    assert said.exit_code == 0, said.output
    return said.output


def refused(zoo: Zoo, *arguments: str) -> str:
    """What the command says where it does not."""
    said = compose(zoo, *arguments)
    assert said.exit_code == 2, said.output
    assert "Traceback" not in said.output
    return said.output


def content(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "compose.json").read_text(encoding="utf-8"))
    return found


def test_a_phrase_becomes_a_model_that_says_what_its_formula_says(zoo: Zoo, tmp_path: Path) -> None:
    said = made(zoo, tmp_path / "out", "small", "black or white", "cats")
    assert "cats: cat, its name, in the plural\nformula: small and (black or white) and cat\n" in said
    model, pixels = load(tmp_path / "out"), tiny_images().at(16)
    each = {name: zoo[name].picked().log_odds(tiny_images())[0] for name in ("small", "black", "white", "cat")}
    wanted = Expression.parse("small and (black or white) and cat").log_odds(each)
    assert torch.allclose(model(pixels), wanted, atol=1e-4)
    assert model.target == "small and (black or white) and cat"


def test_the_folder_says_how_the_phrase_was_understood_and_what_is_not_known(zoo: Zoo, tmp_path: Path) -> None:
    said = made(zoo, tmp_path / "out", "small", "charcoal", "cat")
    assert "How well it tells small and black and cat is not known: no picture of it was looked at" in said
    facts = content(tmp_path / "out")
    assert (facts["phrase"], facts["formula"]) == ("small charcoal cat", "small and black and cat")
    assert [word["concept"] for word in facts["words"]] == ["small", "black", "cat"]
    assert facts["words"][1]["how"].startswith("the nearest colour")
    assert facts["test"] is None
    config = json.loads((tmp_path / "out" / "config.json").read_text(encoding="utf-8"))
    assert config["id2label"] == {"0": "not small+black+cat", "1": "small+black+cat"}
    assert (config["composition"], config["concepts"]) == ("product", ["small", "black", "cat"])
    assert list(config["plugins"]) == config["architectures"] == ["cnn"], "whoever lacks one is told what offers it"
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "charcoal: black, the nearest colour" in card
    assert "is not known: no picture of it was looked at" in card


def test_its_recipe_composes_the_same_concepts(zoo: Zoo, cells: Path, tmp_path: Path) -> None:
    made(zoo, tmp_path / "out", "black cats", "--test", str(cells))
    recipe = read_recipe(tmp_path / "out" / "recipe.yaml")
    assert recipe.target == Expression.parse("black and cat")
    assert [concept.models.name for concept in recipe.concepts] == ["zoo", "zoo"]
    text = (tmp_path / "out" / "recipe.yaml").read_text(encoding="utf-8")
    assert text.startswith(f"{MODELINE}\n")
    written = yaml.safe_load(text)
    assert written["images"] == {"use": "folder", "test": str(cells), "size": 16}
    made(zoo, tmp_path / "one", "cats")
    assert not (tmp_path / "one" / "recipe.yaml").exists(), "a recipe has two concepts or more"


def test_the_card_says_where_each_concept_came_from(zoo: Zoo, tmp_path: Path) -> None:
    zoo.add("cat", tiny_population("cat"), source="by hand", licence="CC0", replace=True)
    made(zoo, tmp_path / "out", "black cats")
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "- **black**: not said; licence: not said\n- **cat**: by hand; licence: CC0\n" in card


def test_python_takes_phrases_and_formulas(zoo: Zoo) -> None:
    pixels = tiny_images().at(16)
    asked = zoo.compose("small black cats")
    assert asked.target == "small+black+cat"
    assert torch.equal(asked(pixels), zoo.compose("small and black and cat")(pixels))
    assert zoo.compose("black or white and cat").target == "black or white and cat", "as it is, where it is a formula"
    with pytest.raises(ComposerError, match="names two things"):
        zoo.compose("a cat and a dog")


def test_one_word_gives_the_model_of_its_concept(zoo: Zoo, tmp_path: Path) -> None:
    made(zoo, tmp_path / "out", "cats")
    pixels = tiny_images().at(16)
    assert torch.allclose(load(tmp_path / "out")(pixels), load(zoo.folder / "cat")(pixels), atol=1e-5)
    made(zoo, tmp_path / "not", "no cats")
    assert torch.allclose(load(tmp_path / "not")(pixels), -load(zoo.folder / "cat")(pixels), atol=1e-5)


def test_test_pictures_judge_it_beside_other_words_and_single_ones(zoo: Zoo, cells: Path, tmp_path: Path) -> None:
    said = made(zoo, tmp_path / "out", "black cat", "--test", str(cells))
    facts = content(tmp_path / "out")["test"]
    assert facts["cells"] == {"black+cat": 6, "black": 6, "cat": 6, "none": 6}
    assert facts["controls"][:2] == ["black alone", "cat alone"]
    swapped = facts["controls"][2:]
    assert swapped[0] in ("small for black", "white for black"), "another attribute, drawn at random"
    assert swapped[1] == "dog for cat"
    for control in facts["controls"]:
        assert control in said
    assert "no other" not in said
    shown = np.repeat([True, False, False, False], 6)
    folders = ("black+cat", "black", "cat", "none")
    order = [file for cell in folders for file in sorted((cells / cell).iterdir())]
    models = {
        "model": load(tmp_path / "out"),
        "cat alone": load(zoo.folder / "cat"),
        "dog for cat": zoo.compose("black and dog"),
    }
    for name, model in models.items():
        each = np.array([one.probability for one in model.predict(order)])
        area = np.sign(each[shown][:, None] - each[~shown][None]).mean() / 2 + 0.5
        assert facts["scores"][name]["auc"]["value"] == pytest.approx(area, abs=0.01), name
    doubtful = [one["control"] for one in facts["comparisons"] if one["verdict"] != "better"]
    assert doubtful, "none of them has learned anything"
    assert facts["verdict"] == f"In the hardest cell it is not clearly better than: {', '.join(doubtful)}."
    hardest = facts["hardest_cell"]
    assert facts["scores"]["model"][f"auc_against.{hardest}"] == facts["scores"]["model"]["auc_hardest_cell"]


def test_one_folder_judges_phrases_of_some_of_its_concepts(zoo: Zoo, cells: Path, tmp_path: Path) -> None:
    made(zoo, tmp_path / "out", "cats", "--test", str(cells))
    facts = content(tmp_path / "out")["test"]
    assert facts["cells"] == {"cat+black": 6, "black": 6, "cat": 6, "none": 6}
    assert facts["controls"] == ["dog for cat"]
    (cells / "striped").mkdir()
    assert "striped is no cell" in refused(zoo, "cats", "--test", str(cells)), "the zoo has not striped"


def test_a_word_without_another_of_its_kind_is_said(zoo: Zoo, cells: Path, tmp_path: Path) -> None:
    zoo.remove("dog")
    said = made(zoo, tmp_path / "out", "black cat", "--test", str(cells))
    assert "The zoo has no other object to put in the place of cat." in said


def test_words_of_a_phrase_stand_for_no_other_word_of_it(zoo: Zoo, tmp_path: Path) -> None:
    for cell in ("cat+dog", "cat", "dog", "none"):
        for index in range(2):
            pixels = np.full((16, 16, 3), 30 * len(cell) + index, np.uint8)
            save(tmp_path / "cells" / cell / f"{index}.png", pixels)
    said = made(zoo, tmp_path / "out", "cat or dog", "--test", str(tmp_path / "cells"))
    for name in ("cat", "dog"):
        assert f"The zoo has no other object to put in the place of {name}." in said
    assert content(tmp_path / "out")["test"]["controls"] == ["cat alone", "dog alone"]


def test_a_test_folder_names_no_more_concepts_than_a_model_can_know(tmp_path: Path) -> None:
    others = [f"concept{letter}" for letter in "abcdefgh"]
    for name in others:
        (tmp_path / name).mkdir()
    with pytest.raises(ComposerError, match="its folders name 9 concepts with those of the phrase; 8 are the most"):
        read_test_folder(tmp_path, Expression.of("black"), 16, Run(), others)


def test_the_same_seed_draws_the_same_words(zoo: Zoo, cells: Path, tmp_path: Path) -> None:
    for name in "ab":
        made(zoo, tmp_path / name, "black cat", "--test", str(cells), "--seed", "3")
    assert content(tmp_path / "a") == content(tmp_path / "b")


def test_other_seeds_draw_other_words(zoo: Zoo, cells: Path) -> None:
    understood = understand_in(zoo, "black cat")
    drawn = [make(zoo, "black cat", understood, test=cells, seed=seed).scoring for seed in range(6)]
    assert {name for each in drawn if each for name in each.controls} >= {"small for black", "white for black"}


def test_one_network_learns_from_pictures_without_labels(zoo: Zoo, cells: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for index in range(200):
        save(tmp_path / "pictures" / f"{index}.png", rng.integers(0, 256, (16, 16, 3), dtype=np.uint8))
    understanding = understand_in(zoo, "black cat")
    found = make(zoo, "black cat", understanding, one=True, pictures=tmp_path / "pictures", steps=3)
    write(found, tmp_path / "out")
    assert (found.one, found.networks, found.taught) == (True, 1, 200)
    assert content(tmp_path / "out")["learned_from"] == 200
    assert found.warnings, "three steps teach nothing, and the assembler says so"
    assert content(tmp_path / "out")["warnings"] == found.warnings
    assert (load(tmp_path / "out").composition, load(tmp_path / "out").target) == ("student", "black+cat")
    assert load(tmp_path / "out", target="black and not cat").bodies == (0, 0), "it answers other formulas too"
    recipe = yaml.safe_load((tmp_path / "out" / "recipe.yaml").read_text(encoding="utf-8"))
    assert recipe["compositions"]["student"]["assembler"]["use"] == "distil"
    assert what_is_known(found)[-1] == "Nor is it known how much the one network has lost of what its parents know."
    judged = make(zoo, "black cat", understanding, one=True, pictures=tmp_path / "pictures", steps=1, test=cells)
    assert judged.scoring is not None
    assert list(judged.scoring.scores)[:2] == ["model", "product"], "beside what it learned from"
    assert {one.composition for one in judged.scoring.comparisons} == {"model"}, "the product is no rival of controls"


def test_one_network_learns_from_what_the_zoo_keeps(zoo: Zoo) -> None:
    for seed, name in enumerate(KINDS):
        images = tiny_images(per_cell=16, concepts=(name, "other"), seed=seed)
        own = Images(images.names, {name: images.labels[name]}, images.at(16))
        zoo.put(Entry(tiny_population(name, seed=seed), probes=few(own, name)), kind=None, replace=True)
    with pytest.raises(ComposerError, match="the zoo keeps 160 pictures to learn from"):
        make(zoo, "black cat", understand_in(zoo, "black cat"), one=True)
    for name in ("bird", "fish"):
        images = tiny_images(per_cell=16, concepts=(name, "other"))
        own = Images(images.names, {name: images.labels[name]}, images.at(16))
        zoo.put(Entry(tiny_population(name), probes=few(own, name)))
    assert make(zoo, "black cat", understand_in(zoo, "black cat"), one=True, steps=1).taught == 224


def test_what_the_parents_seldom_say_is_seen_more_often() -> None:
    images = tiny_images(per_cell=50)
    parent = tiny_population("black")
    answers = parent.log_odds(images).mean(0)
    bias = parent.weights["fc1.bias"] - torch.tensor([float(answers.quantile(0.9)), 0.0])
    rare = replace(parent, weights={**parent.weights, "fc1.bias": bias}, _memo={})  # one picture in ten
    often = balanced(images, [rare], Run(1))
    assert often.names[: len(images)] == images.names
    assert len(often) == len(images) + 2000
    share = [float((rare.log_odds(each).mean(0) > 0).float().mean()) for each in (images, often)]
    assert share[0] == pytest.approx(0.1, abs=0.01)
    assert share[1] == pytest.approx((0.1 * 200 + 1000) / 2200, abs=0.01)


def test_heads_on_one_body_are_one_network_already(zoo: Zoo, tmp_path: Path) -> None:
    body = tiny_population("black", members=1)
    other = tiny_population("cat", members=1, seed=1)
    for name, population in (("black", body), ("cat", replace(other.on_body_of(body), _memo={}))):
        zoo.add(name, population, replace=True)
    said = made(zoo, tmp_path / "out", "black cat", "--one")
    assert "it is one network already" in said
    assert "1 network, " in said


def test_what_is_there_is_replaced_only_where_that_is_said(zoo: Zoo, tmp_path: Path) -> None:
    out = tmp_path / "out"
    made(zoo, out, "black cat")
    assert f"--output {out}: is there already" in refused(zoo, "white cat", "--output", str(out))
    assert content(out)["phrase"] == "black cat"
    made(zoo, out, "white cat", "--replace")
    assert content(out)["phrase"] == "white cat"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "zoo"], "nothing is left beside it"
    (tmp_path / "mine").mkdir()
    assert "was not made by composer compose" in refused(zoo, "cat", "--output", str(tmp_path / "mine"), "--replace")


def test_a_folder_is_named_after_the_formula(zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert compose(zoo, "small black cats").exit_code == 0
    assert compose(zoo, "black or white cats").exit_code == 0
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["black_or_white_and_cat", "small_black_cat"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["purple cat"], "'purple' is nearest to the colour purple, which the zoo has not"),
        (["blak cat"], "'blak' is none of the concepts of the zoo; nearest in spelling: black"),
        ([""], "the phrase is empty"),
        (["a cat and a dog"], "names two things, cat and dog"),
        (["black and not black"], "no picture can show 'black and not black'"),
        (["cat", "--pictures", "x"], "--pictures: is for --one"),
        (["cat", "--test", "nowhere"], "--test: no folder"),
        (["black cat", "--one"], "--one: the zoo keeps 0 pictures to learn from"),
        (["black cat", "--one", "--pictures", "nowhere"], "--pictures nowhere: there is no such folder"),
    ],
)
def test_bad_input_is_refused_with_a_reason(
    zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in refused(zoo, *arguments)
    assert not (tmp_path / "runs").exists()


def test_an_empty_zoo_and_a_damaged_concept_are_said(zoo: Zoo, tmp_path: Path) -> None:
    assert "is empty; fill it with `composer zoo drawings`" in refused(Zoo(tmp_path / "none"), "cat")
    (zoo.folder / "cat" / "model.safetensors").unlink()
    assert "model.safetensors is missing" in " ".join(refused(zoo, "black cat").split())


def test_what_two_concepts_fit_is_refused_where_nobody_can_be_asked(zoo: Zoo, tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        file = zoo.folder / name / "concept.json"
        facts = json.loads(file.read_text(encoding="utf-8")) | {"synonyms": ["beast"]}
        file.write_text(json.dumps(facts), encoding="utf-8")
    assert "'beasts' may mean cat or dog" in refused(zoo, "black beasts")
