"""A zoo keeps concepts whole or not at all, says how well each is known, and composes them."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from pydantic import PrivateAttr

import composer
from composer import ComposerError, Images, ModelSource, Parent, Population, Preprocessing, Run, Zoo
from composer.networks.architecture import Architecture
from composer.recipes.recipe_reader import read_recipe
from composer.registry import load_registry
from composer.zoo import learning
from composer.zoo.adding import entry_of
from composer.zoo.checking import checked
from composer.zoo.drawn import APART, SYNONYMS, DrawnWorld
from composer.zoo.entry import Concept
from composer.zoo.learning import Lesson
from composer.zoo.writing import Entry, put, read_probes
from composer_drawings import Drawings
from composer_training import Train
from composer_zoo import FromZoo
from saved_run import saved_run
from tiny import ARCHITECTURE, product_of_experts, tiny_images, tiny_population

TINY = Train(architecture=ARCHITECTURE, members=2, epochs=20, resample=False)


@pytest.fixture
def zoo(tmp_path: Path) -> Zoo:
    """Black and cat, three members each."""
    zoo = Zoo(tmp_path / "zoo")
    zoo.add("black", tiny_population("black"), synonyms=["dark", "ebony"], kind="attribute", source="made up")
    zoo.add("cat", tiny_population("cat", seed=1), kind="object")
    return zoo


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


# -- adding and reading ------------------------------------------------------------------------


def test_a_concept_comes_back_as_it_was_added(zoo: Zoo) -> None:
    again = Zoo(zoo.folder)
    assert list(again) == ["black", "cat"]
    assert len(again) == 2
    concept = again["Black "]
    assert (concept.synonyms, concept.kind, concept.auc) == (("dark", "ebony"), "attribute", None)
    assert (concept.source, concept.version) == ("made up", composer.__version__)
    kept, given = concept.population(), tiny_population("black")
    assert kept.members == given.members
    assert (kept.architecture, kept.preprocessing) == (given.architecture, given.preprocessing)
    assert all(torch.equal(kept.weights[name], tensor) for name, tensor in given.weights.items())


def test_a_concept_is_a_model_folder(zoo: Zoo) -> None:
    images = tiny_images()
    model = composer.load(zoo.folder / "cat")
    wanted = tiny_population("cat", seed=1).log_odds(images)[0]
    assert torch.allclose(model(images.at(16)), wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("licence", "said"),
    [
        ("", {"license": "unknown"}),
        ("MIT", {"license": "mit"}),
        ("mine: ask me # first", {"license": "other", "license_name": "mine: ask me # first"}),
    ],
)
def test_a_card_says_the_licence_as_the_hub_reads_it(zoo: Zoo, licence: str, said: dict[str, str]) -> None:
    concept = zoo.add("cat", zoo["cat"].population(), licence=licence, replace=True)
    _, begin, text = (concept.folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    facts = yaml.safe_load(begin)
    assert {key: value for key, value in facts.items() if key.startswith("license")} == said
    assert (facts["library_name"], facts["pipeline_tag"]) == ("composer", "image-classification")
    assert f"- **licence**: {licence or 'not said'}" in text


def test_an_unknown_concept_is_refused_with_the_nearest(zoo: Zoo, tmp_path: Path) -> None:
    with pytest.raises(ComposerError, match="has no concept 'blak'; did you mean 'black'"):
        _ = zoo["blak"]
    with pytest.raises(ComposerError, match="it is empty: fill it with `composer zoo drawings`"):
        _ = Zoo(tmp_path / "none")["black"]


def test_the_folder_is_the_one_that_the_environment_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPOSER_ZOO", str(tmp_path / "there"))
    assert Zoo().folder == tmp_path / "there"
    monkeypatch.delenv("COMPOSER_ZOO")
    assert Zoo().folder.parts[-2].lower() == "composer"


def test_a_name_that_is_taken_is_refused_unless_it_is_replaced(zoo: Zoo) -> None:
    other = tiny_population("black", seed=5)
    with pytest.raises(ComposerError, match="has a concept 'black' already"):
        zoo.add("black", other)
    assert torch.equal(zoo["black"].population().weights["conv1.weight"], tiny_population().weights["conv1.weight"])
    zoo.add("black", other, replace=True)
    assert torch.equal(zoo["black"].population().weights["conv1.weight"], other.weights["conv1.weight"])


@pytest.mark.parametrize("name", ["and", "NOT", "none", "a/b", "..", "", " ", "black+cat", "jack-o'-lantern", "x" * 60])
def test_what_is_no_word_of_formulas_and_folders_is_no_name(name: str, zoo: Zoo) -> None:
    before = sorted(zoo.folder.iterdir())
    with pytest.raises(ComposerError, match="the name of a concept"):
        zoo.add(name, tiny_population())
    assert sorted(zoo.folder.iterdir()) == before


def test_a_synonym_means_one_concept(zoo: Zoo) -> None:
    for word in ("ebony", "cat"):
        with pytest.raises(ComposerError, match=f"synonym '{word}': it means the zoo's concept"):
            zoo.add("raven", tiny_population(), synonyms=[word])
    zoo.add("black", tiny_population(), synonyms=["ebony"], replace=True)
    assert zoo["black"].synonyms == ("ebony",)


def test_what_cannot_be_written_leaves_the_zoo_as_it_was(zoo: Zoo) -> None:
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 16 * 16, 2))
    in_memory = composer.models.in_memory.population(Parent(network, "cat", Preprocessing(16), outputs=0))
    before = sorted(path.name for path in zoo.folder.iterdir())
    with pytest.raises(ComposerError, match="a network in memory cannot be written"):
        zoo.add("cat", in_memory, replace=True)
    assert sorted(path.name for path in zoo.folder.iterdir()) == before
    assert len(zoo["cat"].population()) == 3


def test_a_zoo_that_is_no_folder_or_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no zoo")
    with pytest.raises(ComposerError, match=r"file: is no folder, and a zoo is one; name a folder \(--zoo"):
        Zoo(tmp_path / "file")
    with pytest.raises(ComposerError, match=r"cannot be written: .*irectory; name another folder"):
        Zoo(tmp_path / "file" / "zoo").add("black", tiny_population())


def test_several_who_write_at_once_do_not_break_each_other(tmp_path: Path) -> None:
    def write(number: int) -> bool:
        try:
            put(tmp_path / "zoo", Entry(tiny_population(("black", "cat")[number % 2], seed=number)))
        except ComposerError as error:
            return "already" not in str(error)
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(write, range(6))) == 2
    zoo = Zoo(tmp_path / "zoo")
    assert not zoo.damaged
    assert [len(concept.population()) for concept in zoo.concepts] == [3, 3]
    assert [path.name for path in zoo.folder.iterdir() if path.name.startswith(".")] == [".zoo.lock"]


def _cut_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def _of_the_future(folder: Path) -> None:
    (folder / "concept.json").write_text(json.dumps({"format": 2, "composer_version": "9.0"}))


def _no_json(folder: Path) -> None:
    (folder / "concept.json").write_text("{")


def _without_facts(folder: Path) -> None:
    (folder / "concept.json").unlink()


def _impossible(folder: Path) -> None:
    facts = json.loads((folder / "concept.json").read_text())
    (folder / "concept.json").write_text(json.dumps({**facts, "auc": 7.0}))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_cut_weights, "model.safetensors is missing"),
        (_of_the_future, r"is of format 2 \(composer 9.0\), and this composer reads format 1"),
        (_no_json, "damaged"),
        (_without_facts, "concept.json is missing"),
        (_impossible, "auc"),
    ],
)
def test_a_damaged_concept_is_named_and_harms_no_other(zoo: Zoo, damage: object, said: str) -> None:
    damage(zoo.folder / "cat")  # type: ignore[operator]
    again = Zoo(zoo.folder)
    assert list(again) == ["black"]
    assert list(again.damaged) == ["cat"]
    with pytest.raises(ComposerError, match=f"{said}.*composer zoo remove 'cat'"):
        _ = again["cat"]
    with pytest.raises(ComposerError, match="already"):
        again.add("cat", tiny_population())
    again.remove("cat")
    assert not again.damaged


def test_a_folder_that_was_copied_is_no_second_concept_of_that_name(zoo: Zoo) -> None:
    shutil.copytree(zoo.folder / "cat", zoo.folder / "kitten")
    again = Zoo(zoo.folder)
    assert list(again) == ["black", "cat"]
    assert "says 'cat'" in again.damaged["kitten"]


def test_a_folder_of_somebody_is_no_concept_and_is_left_alone(zoo: Zoo) -> None:
    (zoo.folder / "photos").mkdir()
    (zoo.folder / "photos" / "1.png").touch()
    again = Zoo(zoo.folder)
    assert list(again) == ["black", "cat"]
    assert not again.damaged
    with pytest.raises(ComposerError, match="has no concept 'photos'"):
        again.remove("photos")
    with pytest.raises(ComposerError, match="photos: is there, and no concept of the zoo; move it away"):
        again.add("photos", tiny_population(), replace=True)
    assert (zoo.folder / "photos" / "1.png").is_file()


def test_weights_that_are_cut_are_said_when_they_are_read(zoo: Zoo) -> None:
    file = zoo.folder / "cat" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ComposerError, match="cannot be read"):
        zoo["cat"].population()


def test_kept_pictures_that_are_damaged_are_said(zoo: Zoo) -> None:
    images = tiny_images()
    probes = Images(images.names, {"dog": images.labels["black"]}, images.at(16))
    file = zoo.put(Entry(tiny_population("dog"), probes=probes)).folder / "probes.safetensors"
    whole = file.read_bytes()
    for content in (whole[:-100], whole.replace(b"shown", b"shewn"), b""):
        file.write_bytes(content)
        with pytest.raises(ComposerError, match=r"dog/probes.safetensors: damaged \(.*; learn 'dog' again"):
            read_probes(zoo["dog"])


def test_the_parts_of_a_run_are_added_one_by_one_with_their_quality(tmp_path: Path) -> None:
    saved_run(tmp_path / "run")
    zoo = Zoo(tmp_path / "zoo")
    concept = zoo.add("cat", tmp_path / "run")
    model = composer.load(tmp_path / "run", "product")
    pixels = tiny_images().at(16)
    assert torch.allclose(composer.load(concept.folder)(pixels), model.parts[1](pixels), atol=1e-5)
    assert concept.source == "product of run"
    with pytest.raises(ComposerError, match="its networks know black, cat; name one of them"):
        zoo.add("dog", tmp_path / "run")
    assert entry_of(tmp_path / "run", "kitty", called="cat").population.concept == "kitty"


def test_a_concept_of_another_zoo_is_added_with_all_that_is_known_of_it(tmp_path: Path) -> None:
    other, zoo = Zoo(tmp_path / "other"), Zoo(tmp_path / "zoo")
    images = tiny_images()
    probes = Images(images.names, {"black": images.labels["black"]}, images.at(16))
    entry = Entry(tiny_population(), ("dark",), "attribute", 0.75, 20, "by hand", "MIT", picked=2, probes=probes)
    given = other.put(entry)
    taken = zoo.add("raven black", given.folder)
    assert replace(taken, name="black", folder=given.folder) == given
    assert taken.picked().members == given.picked().members == ("black 2",)
    zoo.add("dark", tiny_population("dark"))
    assert zoo.add("ebony", given.folder).synonyms == (), "it means another concept here"
    kept = read_probes(taken)
    assert kept is not None
    assert torch.equal(kept.at(16), images.at(16))
    assert (kept.labels["raven black"] == images.labels["black"]).all()


def test_what_gives_no_log_odds_is_no_concept(zoo: Zoo) -> None:
    headless = replace(tiny_population("dog"), outputs=())
    with pytest.raises(ComposerError, match="nothing says which of them mean"):
        zoo.add("dog", headless)


# -- learning ----------------------------------------------------------------------------------


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


# -- drawings ----------------------------------------------------------------------------------


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


# -- composing ---------------------------------------------------------------------------------


def test_concepts_are_composed_by_name_and_by_formula(zoo: Zoo) -> None:
    pixels = tiny_images().at(16)
    each = {name: composer.load(zoo.folder / name)(pixels) for name in zoo}
    both = product_of_experts(torch.stack(list(each.values())))
    assert torch.allclose(zoo.product("black", "cat")(pixels), both, atol=1e-5)
    without = product_of_experts(torch.stack([each["cat"], -each["black"]]))
    assert torch.allclose(zoo.compose("cat and not black")(pixels), without, atol=1e-5)
    assert torch.allclose(zoo.compose("not black")(pixels), -each["black"], atol=1e-5)
    assert torch.allclose(zoo.compose(composer.Expression.of("black"))(pixels), each["black"], atol=1e-5)
    for text, said in (
        ("black and catt", "nearest in spelling: cat"),
        ("black and", "ends where a concept should stand"),
        ("cat and not cat", "no pict"),
    ):
        with pytest.raises(ComposerError, match=said):
            zoo.compose(text)


def test_a_concept_stands_for_a_parent_in_memory(zoo: Zoo) -> None:
    pixels = tiny_images().at(16)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 16 * 16, 1))
    model = composer.product(zoo["black"], Parent(network, "bright", Preprocessing(16)))
    assert torch.allclose(model.parts[0](pixels), composer.load(zoo.folder / "black")(pixels), atol=1e-5)
    assert model.concepts == ("black", "bright")


RECIPE = """\
name: small
seed: 3
concepts:
  black: {models: {use: zoo, concept: black, folder: zoo}}
  kitty: {models: {use: zoo, concept: CAT, folder: zoo}}
compositions: {product: {assembler: product}}
"""


def test_a_recipe_takes_its_models_from_the_zoo(zoo: Zoo, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE.replace("CAT", "cat"))
    recipe = read_recipe(tmp_path / "recipe.yaml")
    source = recipe.concepts[1].models
    assert isinstance(source, FromZoo)
    assert source.network == ARCHITECTURE
    assert source.load("kitty", Run()).concept == "kitty"
    assert len(source.load("kitty", Run())) == 3
    (tmp_path / "recipe.yaml").write_text(RECIPE.replace("CAT", "catt"))
    with pytest.raises(ComposerError, match=r"recipe.yaml:5.*kitty.models.*has no concept 'catt'; did you mean 'cat'"):
        read_recipe(tmp_path / "recipe.yaml")


# -- checking ----------------------------------------------------------------------------------


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
    assert found["house"].own is None
    probes = read_probes(zoo["dark"])
    assert probes is not None
    assert (probes.labels["dark"] == black).all()
    assert torch.equal(probes.at(16), images.at(16))
