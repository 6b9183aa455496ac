"""What all model cards share: front matter as the Hugging Face hub reads it, licences, and a card made public."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from composer.data.files import one_line
from composer.errors import ComposerError

LICENCES = frozenset(
    {"apache-2.0", "bsd-2-clause", "bsd-3-clause", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc0-1.0", "mit"}
)
"""What the hub calls licences; it takes any other as `other`, with a name."""
FENCE = "---\n"
INDEX = "model-index"
"""The key below which a card's scores stand."""
HERE = "path/to/this/folder"
"""How cards name the folder that they stand in; those of concepts say `.`."""
LICENCE_SECTION = re.compile(r"^## Licence\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def licence_facts(licence: str) -> dict[str, str]:
    """What front matter says of a licence; empty: nobody said."""
    plain = licence.strip().lower()
    if not plain or plain in LICENCES:
        return {"license": plain or "unknown"}
    return {"license": "other", "license_name": licence.strip()}


def front_matter(facts: Mapping[str, Any]) -> str:
    """Facts about a model as the beginning of its card."""
    return f"{FENCE}{yaml.safe_dump(dict(facts), sort_keys=False, allow_unicode=True)}{FENCE}"


def parted(card: str) -> tuple[dict[str, Any], str]:
    """(front matter, text) of a card; ValueError where the front matter is no mapping in YAML."""
    if not card.startswith(FENCE):
        return {}, card
    front, found, text = card.removeprefix(FENCE).partition(f"\n{FENCE}")
    try:
        facts = yaml.safe_load(front)
    except yaml.YAMLError as error:
        raise ValueError(one_line(error)) from error
    if not found or not isinstance(facts, dict):
        raise ValueError("the front matter between two lines --- is no mapping")
    return facts, text


def without_scores(card: str) -> str:
    """The same card without its model-index: for a model that these scores are not of; one that is damaged as it is."""
    try:
        facts, text = parted(card)
    except ValueError:
        return card
    return front_matter({key: value for key, value in facts.items() if key != INDEX}) + text if facts else text


def licence_of(card: Path) -> str:
    """The licence in a card's front matter, in words; empty where there is none, or the card cannot be read."""
    try:
        facts, _ = parted(card.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # what it says of a licence is a help and no more
        return ""
    said = facts.get("license_name") or facts.get("license")
    return str(said) if said and said != "unknown" else ""


def published_card(file: Path, repository: str, licence: str = "") -> str:
    """A card as the hub shows it: models are loaded by the repository's name; a given licence stands in it.

    ComposerError where the file's front matter cannot be read. Without a file there is a card of the least.
    """
    if not file.is_file():
        facts, text = {"library_name": "composer"}, f"\n# {repository}\n\nMade by composer.\n"
    else:
        try:
            facts, text = parted(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ComposerError(f"{file}: {error}") from error
    if licence.strip():
        facts = {key: value for key, value in facts.items() if not key.startswith("license")} | licence_facts(licence)
        text = LICENCE_SECTION.sub(f"## Licence\n\n{licence.strip()}\n", text)
    text = text.replace(HERE, repository).replace('composer.load(".")', f'composer.load("{repository}")')
    return front_matter({"license": "unknown", **facts}) + text
