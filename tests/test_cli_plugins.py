"""The commands that say which plugins and components there are."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from calling import call
from composer.command_line.catalogue import plugins_data, print_plugins
from composer.recipes.schema import ID
from composer.registry import Registry

Write = Callable[[str], Path]


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are written below the current folder."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)


def test_list_plugins_shows_what_there_is_and_nothing_is_cut() -> None:
    shown = call("list-plugins")
    assert shown.exit_code == 0
    assert re.search(r"^translator *\n  cyclegan .*\n", shown.output, re.MULTILINE)
    assert re.search(r"^models *\n  checkpoints ", shown.output, re.MULTILINE)
    assert "kernel-composer" not in shown.output, "said of what is not composer's own"
    assert "…" not in shown.output
    assert max(map(len, shown.output.splitlines())) <= 100


def test_list_plugins_prints_json_where_asked() -> None:
    listed = json.loads(call("list-plugins", "--json").output)
    assert set(listed) == {"components", "broken"}
    cnn = next(component for component in listed["components"] if component["name"] == "cnn")
    assert (cnn["kind"], cnn["plugin"], cnn["distribution"]) == ("architecture", "cnn", "kernel-composer")


def test_a_broken_plugin_is_listed_with_the_reason(
    distribution: Callable[..., list[EntryPoint]], capsys: pytest.CaptureFixture[str]
) -> None:
    registry = Registry(distribution("bad-plugin", "import nothing_of_that_name"))
    print_plugins(plugins_data(registry))
    text = " ".join(capsys.readouterr().out.split())
    assert "broken plugins extra ModuleNotFoundError: No module named" in text
    assert "bad-plugin 1.0" in text


def test_a_name_that_two_plugins_offer_is_marked(
    distribution: Callable[..., list[EntryPoint]], capsys: pytest.CaptureFixture[str]
) -> None:
    source = (
        'from composer import Translator, hook\nclass Swap(Translator):\n    """Swaps."""\n    name = "swap"\n'
        "    def translate(self, parents, run):\n        return parents[0]\n"
        "@hook\ndef composer_components():\n    return [Swap]\n"
    )
    distribution("one-plugin", source)
    print_plugins(plugins_data(Registry(distribution("two-plugin", source))))
    shown = capsys.readouterr().out
    assert shown.count("two plugins offer this name") == 2
    assert re.search(r"^  swap .* one-plugin 1\.0", shown, re.MULTILINE), "where it is not ours, whose it is"


def test_describe_shows_contract_options_and_an_example() -> None:
    shown = call("describe", "cyclegan")
    assert shown.exit_code == 0
    for said in (
        "2 or more",
        "arXiv:1703.10593",
        "whole number, 1 to 100000, default 200",
        "translator: {use: cyclegan",
    ):
        assert said in shown.output, shown.output


def test_describe_suggests_the_nearest_name() -> None:
    shown = call("describe", "cyclegn")
    assert shown.exit_code == 2
    assert shown.output == "error: no component is called 'cyclegn'; did you mean 'cyclegan'?\n"


def test_schema_is_json_and_can_be_written_to_a_file() -> None:
    printed = call("schema")
    assert json.loads(printed.output)["$schema"].endswith("draft-07/schema#")
    assert json.loads(printed.output)["$id"] == ID
    assert call("schema", "--output", "new/schema.json").output == "new/schema.json\n"
    assert Path("new/schema.json").read_text() == printed.output
