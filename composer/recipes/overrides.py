"""`--set key=value`: changes to a recipe's data before it is read as a recipe."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from composer.errors import Problem, RecipeError
from composer.recipes.located_yaml import Document, Path_, parse


def apply(document: Document, overrides: Sequence[str]) -> None:
    """Sets each `a.b.c=value` in the document; a value is read as YAML, `root` starts from the current folder.

    A slot written as a name becomes `use: NAME`, so that its options can be set; items of a list are
    addressed by their name or their number.
    """
    problems = []
    for text in overrides:
        where = f"--set {text}"
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            problems.append(Problem(where, "", "write it as key=value, for example models.members=8"))
            continue
        try:
            data = parse(value, where).data
            if key.strip() == "root" and isinstance(data, str):
                data = str(Path(data).expanduser().absolute())
            _set(document, key.strip().split("."), data, where)
        except RecipeError as error:
            problems += error.problems
        except (KeyError, TypeError) as error:
            problems.append(Problem(where, "", str(error.args[0])))
    if problems:
        raise RecipeError(problems)


def _set(document: Document, keys: Sequence[str], value: Any, where: str) -> None:
    if not isinstance(document.data, dict):
        raise TypeError("the recipe is no mapping")
    node: Any = document.data
    path: Path_ = ()
    for depth, key in enumerate(keys):
        last = depth == len(keys) - 1
        step: Any = _index(node, key) if isinstance(node, list) else key
        path = (*path, step)
        if last:
            node[step] = value
            for known in [known for known in document.places if known[: len(path)] == path]:
                del document.places[known]
            document.places[path] = where
        else:
            below = node[step] if isinstance(node, list) else node.get(step)
            if below is None:
                below = {}
                document.places.setdefault(path, where)
            elif isinstance(below, str):
                below = {"use": below}
            elif not isinstance(below, (dict, list)):
                raise TypeError(f"{'.'.join(keys[: depth + 1])} is {below!r} and has no parts")
            node[step] = below
            node = below


def _index(items: list[Any], key: str) -> int:
    if key.isdigit() and int(key) < len(items):
        return int(key)
    for index, item in enumerate(items):
        if item == key or (isinstance(item, dict) and item.get("use") == key):
            return index
    raise KeyError(f"the list has no item {key!r}")
