"""The Hugging Face hub: models are fetched where a name is no folder here, and pushed from one by `composer push`."""

from __future__ import annotations

import re
from pathlib import Path

from composer import hook

REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
"""`user/repo`: what can be a repository's name."""
RUNS = "runs"
"""Where runs are by default; nobody's name on the hub."""
FILES = (".pth", ".pt", ".th", ".safetensors", ".bin", ".ckpt")
"""How files of weights end, which are never repositories."""


def names_repository(model: str | Path) -> bool:
    """Whether a text can only be the name of a repository: nothing is there of that path, nor of its first part."""
    text = str(model)
    first = text.partition("/")[0]
    if REPOSITORY.fullmatch(text) is None or text.endswith(FILES):
        return False
    return first != RUNS and not Path(first).exists()


@hook
def composer_fetch(model: str, revision: str | None) -> tuple[Path, str] | None:
    if not names_repository(model):
        return None
    from composer_hub.repository import fetched

    folder = fetched(model, revision)
    return folder, f"{model} of the Hugging Face hub, commit {folder.name}"
