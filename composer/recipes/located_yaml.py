"""YAML 1.2 data that knows where each value was written.

PyYAML reads YAML 1.1: `no` is False, `1e-4` a string, `12:30` a number, and of two equal keys the
first is lost. Here its parser is kept and those surprises are mended.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from composer.errors import Problem, RecipeError

Path_ = tuple[str | int, ...]

_NULL = re.compile(r"(~|null|Null|NULL|)\Z")
_TRUE = re.compile(r"(true|True|TRUE)\Z")
_FALSE = re.compile(r"(false|False|FALSE)\Z")
_INT = re.compile(r"[-+]?[0-9]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_INFINITE = re.compile(r"[-+]?\.(inf|Inf|INF)\Z")
MOST_VALUES = 10_000
DEEPEST = 30
MOST_LETTERS = 1_000_000
MOST_DIGITS = 400


@dataclass
class Document:
    """Plain data, and where each part of it stands: path -> `file:line:col`."""

    data: Any
    name: str
    places: dict[Path_, str] = field(default_factory=dict)

    def place(self, path: Path_) -> str:
        """Where `path` was written, or the nearest thing around it."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, self.name)


def read_document(path: Path) -> Document:
    """The file's content; RecipeError where it is no readable YAML."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise RecipeError([Problem(str(path), "", "there is no such file")]) from None
    except IsADirectoryError:
        raise RecipeError([Problem(str(path), "", "is a folder, not a recipe")]) from None
    except UnicodeDecodeError as error:
        raise RecipeError([Problem(str(path), "", f"is not UTF-8 text (byte {error.start})")]) from None
    except OSError as error:
        raise RecipeError([Problem(str(path), "", f"cannot be read: {error.strerror}")]) from None
    return parse(text, str(path))


def parse(text: str, name: str) -> Document:
    """Data with places; RecipeError with everything that is wrong."""
    if len(text) > MOST_LETTERS:
        message = f"has {len(text):,} letters, too many for a recipe ({MOST_LETTERS:,} are the most)"
        raise RecipeError([Problem(name, "", message)])
    try:
        _refuse_depth(text, name)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        raise RecipeError([Problem(where, "", f"not YAML: {error.problem}")]) from None
    except yaml.YAMLError as error:
        raise RecipeError([Problem(name, "", f"not YAML: {error}")]) from None
    document = Document(None, name)
    if node is not None:
        reader = _Reader(document)
        document.data = reader.read(node, ())
        if reader.problems:
            raise RecipeError(reader.problems)
    return document


def _refuse_depth(text: str, name: str) -> None:
    """Raises RecipeError where values nest too deep; the parser's events come one by one, its nodes by recursion."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST + 1:
            mark = event.start_mark
            where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
            message = f"too large or too deep for a recipe: more than {DEEPEST} values in one another"
            raise RecipeError([Problem(where, "", message)])


def scalar(text: str) -> Any:
    """The value of an unquoted scalar by YAML 1.2's core schema."""
    if _NULL.match(text):
        return None
    if _TRUE.match(text):
        return True
    if _FALSE.match(text):
        return False
    if _INT.match(text):
        return int(text)
    if _FLOAT.match(text):
        return float(text)
    if _INFINITE.match(text):
        return float("-inf" if text.startswith("-") else "inf")
    return text


class _Reader:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.problems: list[Problem] = []
        self.values = 0

    def read(self, node: yaml.Node, path: Path_) -> Any:
        self.document.places.setdefault(path, self.where(node))
        self.values += 1
        if self.values > MOST_VALUES or len(path) > DEEPEST:
            message = "too large or too deep for a recipe (an alias to itself?)"
            raise RecipeError([Problem(self.where(node), "", message)])
        if not node.tag.startswith("tag:yaml.org,2002:") or "python" in node.tag:
            self.problems.append(Problem(self.where(node), "", f"tags such as {node.tag} are not allowed"))
            return None
        if isinstance(node, yaml.MappingNode):
            return self.read_mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*path, index)) for index, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        if (
            node.style is None
            and len(node.value) > MOST_DIGITS
            and (_INT.match(node.value) or _FLOAT.match(node.value))
        ):
            self.problems.append(Problem(self.where(node), "", f"a number of {len(node.value):,} digits is too long"))
            return None
        return scalar(node.value) if node.style is None else node.value

    def read_mapping(self, node: yaml.MappingNode, path: Path_) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self.problems.append(Problem(self.where(key_node), "", "a key must be a word"))
                continue
            key = str(key_node.value)
            if key in data:
                first = self.document.places[(*path, key)].removeprefix(f"{self.document.name}:")
                self.problems.append(Problem(self.where(key_node), key, f"repeated key; it stands already at {first}"))
                continue
            self.document.places[(*path, key)] = self.where(key_node)
            data[key] = self.read(value_node, (*path, key))
        return data

    def where(self, node: yaml.Node) -> str:
        return f"{self.document.name}:{node.start_mark.line + 1}:{node.start_mark.column + 1}"
