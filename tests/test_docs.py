"""What the documents show is what composer takes: recipes are valid by the schema, Python runs, files are there."""

from __future__ import annotations

import re
import shlex
import warnings
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest
import torch
import yaml
from PIL import Image
from readme import AUC, best_control

from colours import colour_network, fill
from composer.command_line.cli import main
from composer.recipes.recipe_reader import read_recipe
from composer.recipes.schema import recipe_schema
from composer.registry import load_registry
from composer_cnn import CNN
from conftest import ROOT
from saved_run import saved_run

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INDEX = ROOT / "docs" / "README.md"
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


def blocks(document: Path, language: str) -> list[str]:
    return [text for found, text in BLOCK.findall(document.read_text(encoding="utf-8")) if found == language]


def stand_ins(folder: Path, concepts: list[str]) -> None:
    """Small files under the names that the documents' recipes use."""
    both = "+".join(concepts)
    sides = [f"train/{concept}/{side}" for concept in concepts for side in ("yes", "no")]
    for index, place in enumerate([*sides, *(f"test/{cell}" for cell in (both, *concepts, "none"))]):
        (folder / place).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (20 * index, 0, 0)).save(folder / place / "0.png")
    for name in ("black_0.pth", "cats.pt"):
        torch.save({}, folder / name)
    torch.save(CNN().build(2).state_dict(), folder / "base.pth")


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft7Validator:
    return jsonschema.Draft7Validator(recipe_schema(load_registry()))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_recipe_in_a_document_is_valid(document: Path, validator: jsonschema.Draft7Validator) -> None:
    for text in blocks(document, "yaml"):
        recipe = yaml.safe_load(text)
        if isinstance(recipe, dict) and "compositions" in recipe:
            validator.validate(recipe)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_recipe_in_a_document_passes_check_beside_the_files_that_it_names(document: Path, tmp_path: Path) -> None:
    for index, text in enumerate(blocks(document, "yaml")):
        recipe = yaml.safe_load(text)
        if isinstance(recipe, dict) and "compositions" in recipe:
            folder = tmp_path / str(index)
            stand_ins(folder, list(recipe["concepts"]))
            (folder / "recipe.yaml").write_text(text)
            assert read_recipe(folder / "recipe.yaml").compositions


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_in_a_document_has_arguments_that_composer_knows(document: Path) -> None:
    for line in "\n".join(blocks(document, "sh")).splitlines():
        for command in re.findall(r"(?:^|[/ ;&])composer ((?!&)[^#&|;]+)", line.partition("#")[0]):
            with click.Context(main) as context:
                name, found, rest = main.resolve_command(context, shlex.split(command))
                assert found is not None, line
                found.make_context(name, rest, parent=context)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_that_a_document_links_to_is_there(document: Path) -> None:
    for name in LINK.findall(document.read_text(encoding="utf-8")):
        assert (document.parent / name).exists(), f"{document.name} links to {name}"


def test_the_python_of_the_page_on_models_runs_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "holiday").mkdir()
    Image.new("RGB", (60, 40), (20, 20, 20)).save(tmp_path / "holiday" / "1.jpg")
    (text,) = blocks(ROOT / "docs" / "models.md", "python")
    exec(compile(text, "docs/models.md", "exec"), {})
    auc, rows, prediction = capsys.readouterr().out.splitlines()
    assert 0 <= float(auc) <= 1
    assert int(rows) > 2
    assert (tmp_path / "auc.png").is_file()
    assert "holiday/1.jpg" in prediction


@pytest.mark.parametrize(("page", "run"), [("ship.md", "catdog"), ("tutorial.md", "first")])
def test_the_python_that_loads_a_run_runs_as_it_stands(
    page: str, run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    saved_run(tmp_path / "runs" / run)
    (tmp_path / "holiday").mkdir()
    Image.new("RGB", (60, 40), (20, 20, 20)).save(tmp_path / "holiday" / "1.jpg")
    (text,) = blocks(ROOT / "docs" / page, "python")
    exec(compile(text, page, "exec"), {})
    assert "holiday/1.jpg" in capsys.readouterr().out


def test_the_networks_in_memory_of_the_readme_are_composed_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "holiday").mkdir()
    Image.new("RGB", (60, 40), (20, 20, 20)).save(tmp_path / "holiday" / "1.jpg")
    (text,) = (text for text in blocks(ROOT / "README.md", "python") if "composer.Parent" in text)
    exec(compile(text, "README.md", "exec"), {})
    said = capsys.readouterr().out
    assert "holiday/1.jpg" in said
    assert "error=None" in said


def test_the_classifiers_of_the_page_on_classes_are_united_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    colour_network(tmp_path, "animals", ("red", "green"))
    for folder, seed in (("photos", 0), ("test", 1)):
        fill(tmp_path / folder, {"cat+left": "red", "dog+right": "green", "cat": "red", "left": "blue"}, 12, seed)
    fill(tmp_path, {"holiday": "red"}, 2)
    (text,) = blocks(ROOT / "docs" / "classes.md", "python")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of an untrained network, what it does not know differs from start to start
        exec(compile(text, "docs/classes.md", "exec"), {})
    *said, share, label = capsys.readouterr().out.splitlines()
    assert "side by side: cat by itself: AUC" in "\n".join(said)
    assert 0 <= float(share) <= 1
    assert label in ("cat", "dog", "left", "right")


def test_the_best_control_that_the_readme_names_is_the_one_with_the_highest_median() -> None:
    def report(**aucs: float) -> dict[str, Any]:
        arms = {name: {"control": name != "made", "scores": {AUC: {"picked": auc}}} for name, auc in aucs.items()}
        return {"compositions": {**arms, "features": {"control": True, "scores": {}}}}

    reports = [report(made=0.99, mean=mean, random=random) for mean, random in ((0.8, 0.7), (0.9, 0.95), (0.85, 0.6))]
    assert best_control(reports) == "`mean` (0.850)"


QUESTIONS = {
    "Where do I begin?": "docs/tutorial.md#the-first-ten-minutes",
    "Can I use my own photographs?": "docs/two-folders.md#the-quick-way",
    "My photographs have a table of labels: what then?": "docs/cells.md#folders-or-a-table",
    "Can I use a checkpoint of my own?": "docs/models.md#checkpoints-of-any-architecture",
    "Which outputs of a pretrained network mean my concept?": "docs/models.md#a-concept-is-a-set-of-outputs",
    "I have models and no pictures: what then?": "docs/checkpoint.md#models-alone",
    "How do I call it from Python?": "docs/models.md#from-python",
    "How do I get at the network, to ship it?": "docs/ship.md#a-network-to-ship",
    "How do I share it?": "docs/ship.md#the-hugging-face-hub",
    "What does the other program have to give it?": "docs/ship.md#which-pixels-a-model-takes",
    "What do I write for a cat that is not black?": "docs/formulas.md#formulas",
    "Can I just say what I want?": "docs/phrases.md#from-a-phrase-to-a-model",
    "How do I keep a concept for the next model?": "docs/zoo.md#a-zoo-of-concepts",
    "How do I try several settings?": "docs/sweep.md#a-sweep",
    "What is the hardest cell?": "docs/numbers.md#what-the-numbers-mean",
    "Is it better than chance, and who says so?": "docs/report.md#comparisons",
    "Which of the many networks do I get?": "docs/picking.md#picking-a-member-without-labels",
    "When does a picture count as yes?": "docs/thresholds.md#from-log-odds-to-yes-and-no-without-a-label",
    "What does a probability of and, or, not mean?": "docs/logic.md#what-and-or-and-not-need",
    "I have ten labelled pictures: what now?": "docs/few.md#a-handful-of-labelled-pictures",
    "Does merging weights work?": "docs/merging.md#merging-networks-in-weight-space-what-is-left-of-them",
    "Can classifiers of different classes be one?": "docs/classes.md#one-model-of-all-classes",
    "How well does that go?": "docs/uniting.md#uniting-classifiers",
    "Did the study hold?": "docs/study.md#what-replays",
    "How do I write a plugin?": "docs/plugins.md#from-an-empty-folder",
}
"""What newcomers ask, and the heading below which the answer stands."""
ANCHOR = re.compile(r"\]\((?!https?:)([^)#]*)#([^)]+)\)")


def anchors(document: Path) -> set[str]:
    """The names that links reach its headings by, as on GitHub."""
    text = re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("question", QUESTIONS)
def test_what_newcomers_ask_stands_below_a_heading_of_a_page_of_the_index(question: str) -> None:
    page, _, anchor = QUESTIONS[question].partition("#")
    assert anchor in anchors(ROOT / page)
    assert page == "README.md" or f"]({page.removeprefix('docs/')})" in INDEX.read_text(encoding="utf-8")


def test_the_readme_links_the_index_and_the_index_every_page() -> None:
    index = INDEX.read_text(encoding="utf-8")
    pages = [page for ending in ("*.md", "*.ipynb") for page in INDEX.parent.glob(ending) if page != INDEX]
    assert len(pages) > 20
    assert not [page.name for page in pages if f"]({page.name})" not in index]
    assert "](docs/README.md)" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_is_read_in_half_a_minute_as_far_as_its_table() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    before, _, rest = text.partition("| made of *black* and *cat* |")
    order = ["Composer makes", "![Pictures", "```sh\n", "**What came out**"]
    assert [before.index(part) for part in order] == sorted(before.index(part) for part in order)
    assert len(before.split()) < 200, "400 words a minute"
    rows = rest.partition("\n\n")[0].splitlines()[2:]
    assert len(rows) == 5
    assert all(row.count("|") == 5 for row in rows)
    assert len(text.splitlines()) < 150


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_to_headings_lead_to_one(document: Path) -> None:
    for page, anchor in ANCHOR.findall(document.read_text(encoding="utf-8")):
        assert anchor in anchors(document.parent / page if page else document), f"{page}#{anchor}"
