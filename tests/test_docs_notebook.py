"""docs/notebook.ipynb runs from above to below, and what it says beside its cells is so."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from conftest import ROOT

pytest.importorskip("pandas")


def runner() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_notebook", ROOT / "docs" / "make_notebook.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def plain(cell: dict[str, Any]) -> str:
    """What a cell printed and gave, as text."""
    return "".join("".join(output.get("text") or output["data"]["text/plain"]) for output in cell["outputs"])


@pytest.mark.usefixtures("own_store")
@pytest.mark.slow
def test_the_notebook_runs_and_gives_what_stands_in_it_but_for_numbers(tmp_path: Path) -> None:
    module = runner()
    kept = [cell for cell in module.read()["cells"] if cell["cell_type"] == "code"]
    met = [cell for cell in module.executed(module.read()["cells"], tmp_path) if cell["cell_type"] == "code"]
    assert len(met) == len(kept) >= 4
    for one, other in zip(kept, met, strict=True):
        assert one["outputs"], "what it gives stands in the notebook: python docs/make_notebook.py"
        assert words(plain(one)) == words(plain(other))
    (table, *_) = met[0]["outputs"]
    assert "hardest cell" in "".join(table["data"]["text/html"])


def words(text: str) -> list[str]:
    return [word for word in text.split() if not any(character.isdigit() for character in word)]


def test_the_notebook_is_small_and_of_a_format_that_notebooks_read() -> None:
    module = runner()
    notebook = module.read()
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert module.PAGE.stat().st_size < 20_000
    names = [cell["id"] for cell in notebook["cells"]]
    assert len(set(names)) == len(names)
    assert all(set(cell) >= {"cell_type", "metadata", "source"} for cell in notebook["cells"])


def test_a_last_value_is_shown_and_a_print_before_it_as_in_jupyter(tmp_path: Path) -> None:
    cells = [
        {"cell_type": "code", "source": ["a = 2\n", "print('said')\n", "a + 1"]},
        {"cell_type": "code", "source": "a"},
    ]
    first, second = runner().executed(cells, tmp_path)
    assert (plain(first), plain(second)) == ("said\n3", "2")
    assert (first["execution_count"], second["execution_count"]) == (1, 2)
