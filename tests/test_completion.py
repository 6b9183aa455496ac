"""What a shell offers after <TAB>, as click asks for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.shell_completion import CompletionItem, ShellComplete

from composer.command_line.cli import main


def offered(*words: str) -> list[CompletionItem]:
    """What is offered for the last of the words, which may be begun or empty."""
    *given, begun = words
    return ShellComplete(main, {}, "composer", "_COMPOSER_COMPLETE").get_completions(given, begun)


def test_recipes_of_this_folder_and_of_folders_in_it_are_offered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipes").mkdir()
    for name in ("mine.yaml", "notes.txt", "recipes/black_cat.yaml", "recipes/white_dog.yml"):
        (tmp_path / name).touch()
    assert [item.value for item in offered("run", "")] == [
        "mine.yaml",
        "recipes/black_cat.yaml",
        "recipes/white_dog.yml",
    ]
    assert [item.value for item in offered("check", "./recipes/w")] == ["./recipes/white_dog.yml"]
    (anything,) = offered("run", "nowhere/[")
    assert (anything.type, anything.value) == ("file", "nowhere/["), "the shell goes on by itself"


def test_components_are_offered_with_what_they_do() -> None:
    (item,) = offered("describe", "cyc")
    assert item.value == "cyclegan"
    assert str(item.help).startswith("Redraws kernels")


def test_plugins_and_components_are_offered_each_once() -> None:
    names = [item.value for item in offered("check-plugin", "")]
    assert {"kernel-composer", "training", "distil", "cyclegan"} <= set(names)
    assert len(names) == len(set(names))
