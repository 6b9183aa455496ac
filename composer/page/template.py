"""Fills the templates of the page; nothing in them comes from outside."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def filled(name: str, content: Mapping[str, Any]) -> str:
    """The template with its content, everything escaped that is not marked as safe."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("composer.page", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template(name).render(content)


def resource(name: str) -> str:
    """A file that stands beside the templates."""
    return (Path(__file__).parent / name).read_text(encoding="utf-8")
