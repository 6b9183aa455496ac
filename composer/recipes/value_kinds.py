"""Whether a value in a recipe is of a kind that its option takes: pydantic alone would read '3' as 3 and true as 1."""

from __future__ import annotations

import json
import typing
from pathlib import Path
from typing import Any

_TEXT, _NUMBER = (str, Path), (int, float)


def misfit(annotation: Any, value: Any) -> str:
    """Why a value's kind is none of the option's, in words; empty where it is one of them."""
    if isinstance(value, (list, tuple)):
        return next((wrong for item in value if (wrong := misfit(annotation, item))), "")
    if isinstance(value, bool):
        return "" if _mentions(annotation, (bool,)) else f"must not be {json.dumps(value)}"
    if isinstance(value, _NUMBER):
        return f"must be true or false, not {value!r}" if _only(annotation, bool) else ""
    if isinstance(value, str) and not _mentions(annotation, _TEXT):
        if _mentions(annotation, _NUMBER):
            whole = "" if _mentions(annotation, (float,)) else "a valid integer, "
            return f"should be {whole}a number and no text, not {value!r}"
        if _only(annotation, bool):
            return f"must be true or false, not {value!r}"
    return ""


def _parts(annotation: Any) -> set[Any]:
    """All plain types in an annotation; of a literal the types of its values."""
    if typing.get_origin(annotation) is typing.Literal:
        return {type(value) for value in typing.get_args(annotation)}
    parts = typing.get_args(annotation)
    return {found for part in parts for found in _parts(part)} if parts else {annotation}


def _mentions(annotation: Any, wanted: tuple[type, ...]) -> bool:
    return not _parts(annotation).isdisjoint((*wanted, Any))


def _only(annotation: Any, wanted: type) -> bool:
    return _parts(annotation) <= {wanted, type(None)}
