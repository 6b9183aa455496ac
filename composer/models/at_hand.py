"""Where a model lies that somebody names: here, or where a plugin has fetched it to."""

from __future__ import annotations

from pathlib import Path

from composer.errors import ComposerError
from composer.registry import load_registry


def at_hand(model: str | Path, revision: str | None = None) -> Path:
    """The path of a model: as given, or the folder that a plugin has fetched it to, such as out of `user/repo`.

    revision: branch, tag or commit of a repository; left out, its newest. ComposerError where it cannot be fetched.
    """
    return fetched_from(model, revision)[0]


def fetched_from(model: str | Path, revision: str | None = None) -> tuple[Path, str]:
    """(the path of a model as `at_hand` gives it, where it was fetched from in words: empty for what lies here)."""
    found: tuple[Path, str] | None = load_registry().hook.composer_fetch(model=str(model), revision=revision)
    if found is not None:
        return found
    if revision is not None:
        met = "is a path here" if Path(model).exists() else "is no user/repo"
        raise ComposerError(f"{model}: {met}, and a revision is of a repository of the Hugging Face hub")
    return Path(model), ""
