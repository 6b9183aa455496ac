"""A zoo keeps concepts whole or not at all, and says of each what is known."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

import composer
from composer import ComposerError, Images, Parent, Preprocessing, Zoo
from composer.zoo.adding import entry_of
from composer.zoo.writing import Entry, put, read_probes
from saved_run import saved_run, score
from tiny import tiny_images, tiny_population, tiny_zoo


@pytest.fixture
def zoo(tmp_path: Path) -> Zoo:
    return tiny_zoo(tmp_path / "zoo")


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


def test_networks_of_another_concept_are_not_taken_for_its_own(zoo: Zoo) -> None:
    for name in ("config.json", "model.safetensors"):
        shutil.copy(zoo.folder / "cat" / name, zoo.folder / "black" / name)
    with pytest.raises(ComposerError, match=r"is not the network of 'black'; remove it \(composer zoo remove 'black'"):
        zoo["black"].population()


def test_an_architecture_that_nobody_offers_is_said(zoo: Zoo) -> None:
    file = zoo.folder / "cat" / "config.json"
    file.write_text(file.read_text(encoding="utf-8").replace('"use": "cnn"', '"use": "gone"'), encoding="utf-8")
    with pytest.raises(ComposerError, match=r"config.json: .*'gone'.*; install the plugin that offers it, or remove"):
        _ = zoo["cat"].architecture


def test_pictures_are_kept_small() -> None:
    assert Entry(tiny_population()).probe_size == 16
    assert Entry(replace(tiny_population(), preprocessing=Preprocessing(300))).probe_size == 128


def test_a_folder_of_somebody_is_no_concept_and_is_left_alone(zoo: Zoo) -> None:
    (zoo.folder / "photos").mkdir()
    (zoo.folder / "photos" / "1.png").touch()
    shutil.copytree(zoo.folder / "cat", zoo.folder / ".part-of-somebody")
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
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    known = {"scores": {"auc": score(0.8, 0)}, "members": 3, "parameters": 1, "measured": {}}
    report["parents"] = {"cat": known}
    (tmp_path / "run" / "report.json").write_text(json.dumps(report))
    zoo = Zoo(tmp_path / "zoo")
    concept = zoo.add("cat", tmp_path / "run")
    assert (concept.auc, concept.pictures) == (0.75, 20)
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
