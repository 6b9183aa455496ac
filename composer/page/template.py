"""Fills the templates of the page; nothing in them comes from outside."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image


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


def data_uri(picture: Image.Image, **options: Any) -> str:
    """A picture as a page has it within itself: JPEG, written with Pillow's options."""
    file = io.BytesIO()
    picture.save(file, format="JPEG", **options)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
