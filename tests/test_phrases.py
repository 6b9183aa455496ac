"""Phrases over a zoo are read by plugins, each of which knows a language."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from composer import ComposerError, Concept, Expression, PhraseError, Understanding, Understood, Zoo, hook
from composer.registry import Registry, load_registry
from composer.zoo import phrases
from composer.zoo.phrases import understand_in


class German:
    """Knows two words."""

    @hook
    def composer_understand(self, phrase: str, concepts: Sequence[Concept]) -> Understanding | None:
        if phrase != "schwarze Katze":
            return None
        assert [concept.name for concept in concepts] == ["black", "cat"]
        words = Understood("schwarze", "black", "übersetzt"), Understood("Katze", "cat", "übersetzt")
        return Understanding(Expression.all_of(("black", "cat")), words)


@pytest.fixture
def zoo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Zoo:
    known: Any = {name: Concept(name, (), None, tmp_path / name, None, None) for name in ("black", "cat")}
    monkeypatch.setattr(Zoo, "_found", (known, {"red car": "red car: damaged"}))
    return Zoo(tmp_path)


def test_another_plugin_reads_another_language_and_leaves_english_to_its_own(zoo: Zoo) -> None:
    german, registry = German(), load_registry()
    registry.watch(german)
    try:
        found = understand_in(zoo, "schwarze Katze")
        assert str(found).splitlines()[-1] == "formula: black and cat"
        assert understand_in(zoo, "black cats").words[1].how == "its name, in the plural"
    finally:
        registry.unwatch(german)
    with pytest.raises(PhraseError, match="'schwarze' is none of the concepts"):
        understand_in(zoo, "schwarze Katze")


def test_without_a_plugin_that_reads_phrases_that_is_said(zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phrases, "load_registry", lambda: Registry(()))
    with pytest.raises(ComposerError, match="no plugin that is installed reads phrases"):
        understand_in(zoo, "black cats")


def test_a_phrase_that_names_a_damaged_concept_is_told_of_the_damage(zoo: Zoo) -> None:
    with pytest.raises(ComposerError, match="red car: damaged"):
        understand_in(zoo, "a red, small car")
    with pytest.raises(PhraseError, match="'red'"):
        understand_in(zoo, "something red")
