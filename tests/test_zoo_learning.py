"""Concepts are learned from pictures that others are held out of, and checked by those that are kept."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import PrivateAttr

import composer
from composer import ComposerError, Images, ModelSource, Population, Run, Zoo
from composer.networks.architecture import Architecture
from composer.registry import load_registry
from composer.zoo import learning
from composer.zoo.checking import checked
from composer.zoo.drawn import APART, SYNONYMS, DrawnWorld
from composer.zoo.entry import Concept
from composer.zoo.learning import Lesson
from composer.zoo.writing import Entry, read_probes
from composer_drawings import Drawings
from composer_training import Train
from tiny import ARCHITECTURE, tiny_images, tiny_population, tiny_zoo

TINY = Train(architecture=ARCHITECTURE, members=2, epochs=20, resample=False)


@pytest.fixture
def zoo(tmp_path: Path) -> Zoo:
    return tiny_zoo(tmp_path / "zoo")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Dark pictures and bright ones, 12 each, in two folders."""
    rng = np.random.default_rng(0)
    for name, high in (("dark", 60), ("bright", 250)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for index in range(12):
            pixels = rng.integers(high - 60, high, (20, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{index}.png")
    return tmp_path / "photos"


def test_a_concept_is_learned_from_two_folders(photos: Path, tmp_path: Path) -> None:
    zoo = Zoo(tmp_path / "zoo")
    concept = zoo.learn("dark", photos / "dark", photos / "bright", models=TINY, synonyms=["dim"])
    assert concept.auc == 1.0
    assert concept.pictures == 4
    assert concept.source == "train cnn, from photos/dark and photos/bright"
    again = Zoo(tmp_path / "again").learn("dark", photos / "dark", photos / "bright", models=TINY)
    one, other = concept.population().weights, again.population().weights
    assert all(torch.equal(one[name], other[name]) for name in one)
    (prediction,) = composer.load(concept.folder).predict(photos / "dark" / "3.png")
    assert prediction.shown


class Remembering(ModelSource):
    """Untrained networks, and the pictures that they were to learn from."""

    name = "remembering"
    _seen: list[Images] = PrivateAttr(default_factory=list)

    @property
    def network(self) -> Architecture:
        return ARCHITECTURE

    def load(self, concept: str, run: Run) -> Population:
        self._seen.append(run.pictures[0])
        return tiny_population(concept)


def test_the_pictures_that_quality_is_told_by_were_not_learned_from(photos: Path) -> None:
    source = Remembering()
    entry = Lesson(source).learn_folders("dark", photos / "dark", photos / "bright")
    assert entry.probes is not None
    learned, held_out = set(source._seen[0].names), set(entry.probes.names)
    assert len(held_out) == 4
    assert not learned & held_out
    assert len(learned | held_out) == 24
    assert entry.probes.labels["dark"].sum() == 2


def test_the_member_that_people_get_is_the_one_whose_quality_is_told() -> None:
    images = tiny_images(10)
    images = Images(images.names, {"black": images.labels["black"]}, images.at(16))
    population = tiny_population(members=4)
    entry = learning.judged(population, images)
    own = population.log_odds(images).double().numpy()
    assert entry.auc == pytest.approx(composer.auc(own, images.labels["black"])[entry.picked])
    assert entry.picked == int(np.argmax(composer.agreement(own)))


def test_networks_that_have_diverged_are_refused() -> None:
    images, population = tiny_images(4), tiny_population()
    broken = {name: torch.full_like(tensor, torch.nan) for name, tensor in population.weights.items()}
    with pytest.raises(ComposerError, match="is not finite: its networks have diverged"):
        learning.judged(replace(population, weights=broken, _memo={}), images)


def test_a_few_pictures_of_each_kind_are_kept() -> None:
    images = tiny_images(20)
    kept = learning.few(images, "black")
    assert kept.labels["black"].sum() == (~kept.labels["black"]).sum() == 16
    assert len(set(kept.names)) == 32
    assert len(learning.few(tiny_images(2), "black")) == 8, "all of them where there are fewer"


def test_a_picture_that_cannot_be_read_among_many_is_left_out_and_said(photos: Path) -> None:
    (photos / "dark" / "broken.png").write_bytes(b"no picture")
    lesson = Lesson(Remembering())
    lesson.learn_folders("dark", photos / "dark", photos / "bright")
    (said,) = lesson.warnings
    assert "1 of 25 pictures cannot be read: " in said
    assert said.endswith("they are left out")


def test_pictures_that_cannot_be_learned_from_are_refused(photos: Path, tmp_path: Path) -> None:
    zoo = Zoo(tmp_path / "zoo")

    def refused(yes: Path, no: Path) -> str:
        with pytest.raises(ComposerError) as error:
            zoo.learn("dark", yes, no, models=TINY)
        return str(error.value)

    (tmp_path / "empty").mkdir()
    assert "--yes" in refused(tmp_path / "nowhere", photos / "bright")
    assert "there are no pictures in it" in refused(photos / "dark", tmp_path / "empty")
    assert "24 pictures are in both" in refused(photos, photos)
    shutil.copy(photos / "dark" / "1.png", photos / "bright" / "other.png")
    assert "other.png; a picture shows 'dark' or it does not" in refused(photos / "dark", photos / "bright")
    (tmp_path / "few").mkdir()
    shutil.copy(photos / "dark" / "2.png", tmp_path / "few")
    (photos / "bright" / "other.png").unlink()
    assert "there are 1 pictures with the concept, and 4 are the fewest" in refused(tmp_path / "few", photos / "bright")
    (photos / "dark" / "broken.png").write_bytes(b"no picture")
    (photos / "dark" / "empty.png").write_bytes(b"")
    assert "2 of 26 pictures cannot be read" in refused(photos / "dark", photos / "bright")
    assert not list(zoo.folder.iterdir())


def test_copies_count_once_and_are_said(photos: Path) -> None:
    shutil.copy(photos / "dark" / "1.png", photos / "dark" / "again.png")
    lesson = Lesson(Remembering())
    entry = lesson.learn_folders("dark", photos / "dark", photos / "bright")
    assert entry.pictures == 4
    assert lesson.warnings == ["1 pictures are copies of others and count once"]


def test_the_drawn_concepts_are_learned_without_the_pictures_that_are_kept_apart() -> None:
    images = Drawings(size=16, train=60, held_out=APART)
    world = DrawnWorld(images, load_registry(), seed=3)
    for concept, hidden in (("black", {"cat", "dog", "house"}), ("cat", {"black", "white", "striped"})):
        source = Remembering()
        entry = world.learn(concept, Lesson(source))
        assert entry.probes is not None
        seen = " ".join((*source._seen[0].names, *entry.probes.names)).split()
        assert concept in seen
        assert not hidden & set(seen)
        assert entry.synonyms == SYNONYMS.get(concept, ())
    assert list(world.chosen(())) == list(world.concepts)
    assert DrawnWorld.usual(load_registry()).images.options()["held_out"] == list(APART)
    assert {"small", "purple", "umbrella"} <= set(world.concepts)
    assert {*APART, *SYNONYMS} <= set(world.concepts)
    assert SYNONYMS["cat"] == ("kitten",)
    with pytest.raises(ComposerError, match="nothing called 'catt' can be drawn; did you mean 'cat'"):
        world.chosen(["catt"])


def _learned(zoo: Zoo, name: str, images: Images, shown: Iterable[bool]) -> Concept:
    """A concept learned from pictures, with the pictures of another one where `shown` says so."""
    trained = TINY.load(
        "black", Run(pictures=(Images(images.names, {"black": images.labels["black"]}, images.at(16)),))
    )
    probes = Images(images.names, {name: list(shown)}, images.at(16))
    return zoo.put(Entry(replace(trained, concept=name), probes=probes))


def test_where_no_pictures_are_kept_nothing_is_said_but_what_is_damaged(zoo: Zoo) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = checked(zoo.concepts)
    assert [(one.concept, one.own, one.fires, one.doubts) for one in found] == [
        ("black", None, {}, ()),
        ("cat", None, {}, ()),
    ]
    file = zoo.folder / "cat" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ComposerError, match="cannot be read"):
        checked(zoo.concepts)


def test_heads_on_one_body_are_each_checked(tmp_path: Path) -> None:
    zoo, body, images = Zoo(tmp_path / "zoo"), tiny_population("black", members=1), tiny_images(8)
    heads = {name: -tensor for name, tensor in body.head_weights.items()}
    zoo.put(Entry(body, probes=Images(images.names, {"black": images.labels["black"]}, images.at(16))))
    zoo.add("bright", replace(body, concept="bright", weights={**body.weights, **heads}, _memo={}))
    found = {one.concept: one.fires["black"] for one in checked(zoo.concepts)}
    assert found["bright"] == pytest.approx(1 - found["black"])
    assert found["bright"] != found["black"]


def test_names_that_lie_are_doubtful(tmp_path: Path) -> None:
    zoo = Zoo(tmp_path / "zoo")
    images = tiny_images(8, ("black", "cat"))
    black = images.labels["black"]
    _learned(zoo, "dark", images, black)
    sound = checked(zoo.concepts)
    assert [(one.own, one.doubts) for one in sound] == [(1.0, ())]
    _learned(zoo, "bright", images, ~black)
    zoo.add("house", tiny_population("house", seed=4))
    found = {one.concept: one for one in checked(zoo.concepts)}
    assert "AUC 0.00 only" in found["bright"].doubts[0]
    assert "says nearly the same as dark" in found["bright"].doubts[1]
    assert found["bright"].others == {"dark": 1.0}
    assert (found["dark"].fires["dark"], found["dark"].others) == (1.0, {}), "its own are no others"
    assert found["house"].own is None
    probes = read_probes(zoo["dark"])
    assert probes is not None
    assert (probes.labels["dark"] == black).all()
    assert torch.equal(probes.at(16), images.at(16))
