"""Kinds of values in a recipe: in words, and whether a value is of one; pydantic alone would read '3' as 3."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from composer.component import Component

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


_TYPES: dict[Any, str] = {
    int: "whole number",
    float: "number",
    str: "text",
    bool: "true or false",
    Path: "path",
    type(None): "null",
}


def type_text(annotation: Any) -> str:
    """`whole number or null`, `cyclegan | mean`, `list of 2: whole number`, in words for people who write recipes."""
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return type_text(parts[0])
    if origin is Literal:
        return " | ".join(str(part) for part in parts)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(type_text(part) for part in parts)
    if origin is tuple and Ellipsis not in parts:
        inner = " and ".join(dict.fromkeys(type_text(part) for part in parts))
        return f"list of {len(parts)}: {inner}"
    if origin is not None and issubclass(origin, Mapping):
        return f"mapping of {type_text(parts[0])} to {type_text(parts[1])}"
    if origin is not None and issubclass(origin, Collection):
        return f"list: {type_text(parts[0])}"
    if isinstance(annotation, type) and issubclass(annotation, Component):
        return f"name of a component of kind {annotation.kind}"
    return _TYPES.get(annotation, getattr(annotation, "__name__", str(annotation)))
