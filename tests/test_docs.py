"""What the documents show is what composer takes: recipes are valid by the schema, Python runs, files are there."""

from __future__ import annotations

import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from PIL import Image

from composer.recipes.schema import recipe_schema
from composer.registry import load_registry
from conftest import ROOT

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


def blocks(document: Path, language: str) -> list[str]:
    return [text for found, text in BLOCK.findall(document.read_text(encoding="utf-8")) if found == language]


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
    auc, prediction = capsys.readouterr().out.splitlines()
    assert 0 <= float(auc) <= 1
    assert "holiday/1.jpg" in prediction
