"""The commands `composer zoo` and `composer learn`, as people call them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image

from composer import Zoo
from composer.command_line.cli import main
from composer.zoo.writing import Entry
from composer_cnn import CNN
from tiny import tiny_images, tiny_population

TINY_RECIPE = """\
name: small
seed: 3
concepts: [black, cat]
images: {use: drawings, size: 16, train: 40, test: 20}
models: {use: train, architecture: {use: cnn, filters: [2, 3], size: 16}, members: 2, epochs: 1}
compositions: {product: {assembler: product}}
"""


@pytest.fixture(autouse=True)
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Zoo:
    """A zoo with black and cat in it, which the environment names."""
    monkeypatch.setenv("COMPOSER_ZOO", str(tmp_path / "zoo"))
    monkeypatch.chdir(tmp_path)
    zoo = Zoo()
    zoo.add("black", tiny_population("black"), synonyms=["dark"], kind="attribute", source="by hand", licence="MIT")
    zoo.add("cat", tiny_population("cat", seed=1), kind="object")
    return zoo


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), prog_name="composer")


def refused(*arguments: str) -> str:
    """What the error says; there is one, that can be mended."""
    found = call(*arguments)
    assert found.exit_code == 2, found.output
    return " ".join(found.stderr.split())


def test_the_table_names_every_concept_and_what_is_damaged(zoo: Zoo) -> None:
    (zoo.folder / "cat" / "config.json").unlink()
    shown = call("zoo")
    assert shown.exit_code == 0, shown.output
    (row,) = [line for line in shown.stdout.splitlines() if line.startswith("black")]
    assert row.split() == ["black,", "dark", "attribute", "-", "-", "by", "hand"]
    assert "1 concept\n" in shown.stdout
    assert "config.json is missing" in shown.stderr
    data = json.loads(call("zoo", "--json").stdout)
    assert [concept["name"] for concept in data["concepts"]] == ["black"]
    assert list(data["damaged"]) == ["cat"]


def test_an_empty_zoo_says_how_it_is_filled(tmp_path: Path) -> None:
    shown = call("zoo", "--zoo", str(tmp_path / "other"))
    assert "0 concepts; fill it with `composer zoo drawings`" in shown.stdout
    assert not (tmp_path / "other").exists()


def test_a_concept_is_shown_and_removed(zoo: Zoo, tmp_path: Path) -> None:
    shown = call("zoo", "--zoo", str(tmp_path / "zoo"), "show", "black").stdout
    assert "dark" in shown
    assert "cnn, pictures of 16 x 16" in shown
    assert "MIT" in shown
    assert json.loads(call("zoo", "show", "black", "--json").stdout)["licence"] == "MIT"
    assert "did you mean 'black'" in refused("zoo", "show", "blak")
    assert "did you mean 'cat'" in refused("zoo", "remove", "cats")
    assert call("zoo", "remove", "cat").stdout == "removed cat\n"
    assert list(Zoo()) == ["black"]
    assert [path.name for path in zoo.folder.iterdir() if path.is_dir()] == ["black"]


def test_concepts_of_a_file_of_weights_are_added_at_once(tmp_path: Path) -> None:
    network = CNN().build(3)
    torch.save(network.state_dict(), tmp_path / "three.pth")
    added = call("zoo", "add", "three.pth", "--concept", "Red", "--concept", "warm", "--output", "1", "--output", "1,2")
    assert added.exit_code == 0, added.output
    pixels = tiny_images(size=32).at(32)
    with torch.no_grad():
        logits = network.eval()(Zoo()["red"].population().preprocessing(pixels))
    wanted = logits[:, 1] - logits[:, [0, 2]].logsumexp(1)
    assert torch.allclose(Zoo().compose("red")(pixels), wanted, atol=1e-4)
    wanted = logits[:, [1, 2]].logsumexp(1) - logits[:, 0]
    assert torch.allclose(Zoo().compose("warm")(pixels), wanted, atol=1e-4)
    said = refused("zoo", "add", "three.pth", "--concept", "blue", "--output", "5")
    assert "has outputs 0 to 2, not 5" in said
    assert "nothing says which mean 'blue'" in refused("zoo", "add", "three.pth", "--concept", "blue")
    assert "'red' already" in refused("zoo", "add", "three.pth", "--concept", "red", "--output", "0")
    assert "one is needed for each of 2" in refused(
        "zoo", "add", "x", "--concept", "a", "--concept", "b", "--output", "1"
    )
    assert "there is no file or folder gone.pth" in refused("zoo", "add", "gone.pth", "--concept", "blue")
    assert "the name of a concept must be letters" in refused("zoo", "add", "three.pth", "--concept", "../blue")


def test_of_several_concepts_none_is_added_where_one_is_wrong(zoo: Zoo) -> None:
    said = refused("zoo", "add", str(zoo.folder / "cat"), "--concept", "tabby", "--concept", "and")
    assert "must not be 'and', a word that formulas need" in said
    assert list(Zoo()) == ["black", "cat"]


def test_where_a_concept_came_from_can_be_said(zoo: Zoo) -> None:
    added = call("zoo", "add", str(zoo.folder / "cat"), "--concept", "tabby", "--source", "a friend")
    assert added.exit_code == 0, added.output
    assert Zoo()["tabby"].source == "a friend"


def test_a_doubtful_concept_is_named_and_the_exit_code_says_so(zoo: Zoo) -> None:
    images = tiny_images(4)
    zoo.put(Entry(tiny_population("dog", seed=2), probes=images.as_one_concept("dog")))
    zoo.put(Entry(tiny_population("hound", seed=2)))
    checked = call("zoo", "check")
    assert checked.exit_code == 1, checked.output
    assert "doubtful: hound: says nearly the same as dog" in checked.stdout


def test_learning_needs_all_that_it_needs(tmp_path: Path) -> None:
    assert "takes NAME, --yes FOLDER and --no FOLDER" in refused("learn", "red", "--yes", "red")
    assert "takes NAME, --yes FOLDER and --no FOLDER" in refused("learn")
    assert "leave out NAME" in refused("learn", "red", "--from", "recipe.yaml")
    assert "--yes red: there is no such folder" in refused("learn", "red", "--yes", "red", "--no", "no")
    assert "'black' already" in refused("learn", "black", "--yes", "red", "--no", "no")
    assert "'convnet'" in refused("learn", "red", "--yes", "red", "--no", "no", "--architecture", "convnet")


def test_a_concept_is_learned_from_folders(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name, high in (("dim", 60), ("bright", 250)):
        (tmp_path / name).mkdir()
        for index in range(20):
            pixels = rng.integers(high - 60, high, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{index}.png")
    options = ("--architecture", "cnn", "--synonym", "gloomy", "--kind", "attribute", "--licence", "CC0")
    learned = call("learn", "dim", "--yes", "dim", "--no", "bright", *options)
    assert learned.exit_code == 0, learned.output
    assert "dim: AUC 1.000 on 8 pictures held out from learning" in learned.stdout
    concept = Zoo()["dim"]
    assert (concept.synonyms, concept.kind, concept.licence) == (("gloomy",), "attribute", "CC0")
    first = concept.population().weights
    again = call("learn", "dim", "--yes", "dim", "--no", "bright", *options, "--replace", "--seed", "1")
    assert again.exit_code == 0, again.output
    assert not all(torch.equal(first[name], other) for name, other in Zoo()["dim"].population().weights.items())
    checked = call("zoo", "check", "--json")
    assert {one["concept"]: one["own_auc"] for one in json.loads(checked.stdout)} == {
        "black": None,
        "cat": None,
        "dim": 1,
    }


def test_the_parents_of_a_recipe_are_learned_and_none_twice(tmp_path: Path, zoo: Zoo) -> None:
    (tmp_path / "recipe.yaml").write_text(TINY_RECIPE)
    assert "'black' already" in refused("learn", "--from", "recipe.yaml")
    learned = call("learn", "--from", "recipe.yaml", "--replace")
    assert learned.exit_code == 0, learned.output
    concept = Zoo()["cat"]
    assert (concept.pictures, concept.kind) == (20, "object")
    assert concept.source == "train cnn, as small says (seed 3)"
    first = concept.population()
    again = call("learn", "--from", "recipe.yaml", "--replace")
    assert "kept, unchanged: test, train.black, black" in " ".join(again.stderr.split()) or "kept" in again.stderr
    assert torch.equal(Zoo()["cat"].population().weights["conv1.weight"], first.weights["conv1.weight"])
    assert call("learn", "--from", "recipe.yaml", "--replace", "--seed", "5").exit_code == 0
    assert Zoo()["cat"].source == "train cnn, as small says (seed 5)"


def test_drawings_that_are_learned_already_are_kept() -> None:
    kept = call("zoo", "drawings", "--only", "black", "--only", "cat")
    assert kept.exit_code == 0, kept.output
    assert "learned 0 concepts, kept 2" in kept.stdout
    assert "not drawn, and kept: black, cat" in kept.stderr
    assert "nothing called 'catt' can be drawn; did you mean 'cat'" in refused("zoo", "drawings", "--only", "catt")
