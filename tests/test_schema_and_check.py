"""What the schema of recipes refuses, `check` refuses; and the other way round, where a schema can say it."""

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from composer.errors import RecipeError
from composer.recipes.located_yaml import parse
from composer.recipes.recipe_reader import read_data
from composer.recipes.schema import recipe_schema
from composer.registry import load_registry
from conftest import SMALL

ROOT = Path(__file__).parents[1]
RECIPES = {"small": SMALL, **{p.stem: p.read_text(encoding="utf-8") for p in sorted((ROOT / "recipes").glob("*.yaml"))}}
ODD: tuple[Any, ...] = (None, True, "text", "3", "", -1, 0, 1, 0.5, 3.0, 10**30, 1e300, [], {}, ["3"], [[1]], {"a": 1})
UNWRITABLE = (math.nan, math.inf)
"""JSON has no such numbers, so only `check` is asked."""
OF_A_SCHEMA = re.compile(r"should |must be a number|must be true or false|must not be (true|false)|unknown option")
"""Messages about what a schema can say as well."""


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft7Validator:
    return jsonschema.Draft7Validator(recipe_schema(load_registry()))


def places(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value inside."""
    steps = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for step, value in steps:
        yield (*path, step)
        yield from places(value, (*path, step))


def data_at(data: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        data = data[step]
    return data


def changed(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    made = copy.deepcopy(data)
    data_at(made, path[:-1])[path[-1]] = value
    return made


def filled(data: Any) -> Any:
    """The recipe with every option written out, so that every option is changed once."""
    try:
        return dict(read_data(data, "r.yaml").document) | {"root": "."}
    except RecipeError:  # its files are not here
        return data


def slot_around(data: Any, path: tuple[Any, ...]) -> tuple[str, str] | None:
    """The outermost component that a value is an option of, all its options with it; None for a recipe's own keys."""
    for end in range(1, len(path)):
        whole = data_at(data, path[:end])
        if isinstance(whole, dict) and "use" in whole:
            return str(path[0]), json.dumps(whole, sort_keys=True, default=str)
    return None


@cache
def first_recipes() -> dict[tuple[str, str], str]:
    """Component with all its options -> the first recipe that has it: it need not be changed in all of them."""
    first: dict[tuple[str, str], str] = {}
    for name, text in RECIPES.items():
        data = filled(parse(text, "r.yaml").data)
        for slot in filter(None, (slot_around(data, path) for path in places(data))):
            first.setdefault(slot, name)
    return first


def refusals(data: Any) -> set[str]:
    try:
        read_data(data, "r.yaml")
    except RecipeError as error:
        return {str(problem) for problem in error.problems}
    return set()


@pytest.mark.parametrize(
    "name", [name if name == "small" else pytest.param(name, marks=pytest.mark.slow) for name in RECIPES]
)
def test_schema_and_check_agree_on_every_mutated_option(name: str, validator: jsonschema.Draft7Validator) -> None:
    data = filled(parse(RECIPES[name], "r.yaml").data)
    assert validator.is_valid(data)
    usual = refusals(data)
    apart = []
    for path in places(data):
        slot = slot_around(data, path)
        if slot is not None and first_recipes()[slot] != name:
            continue
        for value in (*ODD, *UNWRITABLE):
            made = changed(data, path, value)
            found = refusals(made) - usual
            written = isinstance(value, (bool, str, list, dict)) or value is None or math.isfinite(value)
            valid = not written or validator.is_valid(made)
            if not valid and not found:
                apart.append(f"only the schema refuses {'.'.join(map(str, path))}: {value!r}")
            if valid and written and any(map(OF_A_SCHEMA.search, found)):
                apart.append(f"only check refuses {'.'.join(map(str, path))}: {value!r}: {min(found)[:150]}")
    assert not apart, "\n".join(apart)


def test_unknown_keys_are_refused_by_both_at_every_place(validator: jsonschema.Draft7Validator) -> None:
    data = filled(parse(SMALL, "r.yaml").data)
    slots = [path for path in places(data) if isinstance(data_at(data, path), dict) and "use" in data_at(data, path)]
    assert len(slots) > 6
    for path in [(), *slots]:
        made = changed(data, (*path, "surely_absent"), 1)
        assert not validator.is_valid(made), path
        assert refusals(made), path


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("umap_figure: false", "dbscan_eps: .inf", "dbscan_eps: should be a finite number"),
        ("umap_figure: false", f"hdbscan_min_cluster_size: {10**30}", "should be less than or equal to 1000000"),
        ("umap_figure: false", "svm_nu: 1", "svm_nu: should be less than 1"),
        ("filters: [2, 3]", "filters: [1000000000, 16]", "filters: should be less than or equal to 4096"),
    ],
)
def test_numbers_beyond_all_use_are_answered_with_the_bound(old: str, new: str, said: str) -> None:
    assert old in SMALL
    assert any(said in problem for problem in refusals(parse(SMALL.replace(old, new), "r.yaml").data))


@pytest.mark.parametrize("label", ["x" * 51, "é" * 120, "end ", " start", "a/b", "a\n", "", "none?"])
def test_labels_that_are_no_file_names_are_refused_by_both(label: str, validator: jsonschema.Draft7Validator) -> None:
    data = parse(SMALL, "r.yaml").data
    for key, item in (("compositions", {"assembler": "product"}), ("evaluators", "recognition"), ("concepts", None)):
        made = data | {key: {label: item, "black": item}}
        assert not validator.is_valid(made), key
        assert any(key in problem for problem in refusals(made)), key
    longest = data | {"name": "été" + "x" * 47}
    assert validator.is_valid(longest)
    assert not refusals(longest)


@pytest.mark.parametrize("target", ["", "x" * 201, None, 3, ["black"], {"and": "black"}])
def test_targets_that_are_no_text_of_a_formulas_length_are_refused_by_both(
    target: object, validator: jsonschema.Draft7Validator
) -> None:
    data = parse(SMALL, "r.yaml").data
    assert not validator.is_valid(data | {"target": target})
    assert any("target" in problem for problem in refusals(data | {"target": target}))
    fine = data | {"target": "cat and not black"}
    assert validator.is_valid(fine)
    assert not refusals(fine)


@pytest.mark.parametrize("as_mapping", [True, False])
def test_more_concepts_than_a_formula_may_name_are_refused_by_both(
    as_mapping: bool, validator: jsonschema.Draft7Validator
) -> None:
    data = parse(SMALL, "r.yaml").data
    names = [f"c{index}" for index in range(9)]
    made = data | {"concepts": dict.fromkeys(names) if as_mapping else names}
    assert not validator.is_valid(made)
    assert any("not 9; 8 are the most" in problem for problem in refusals(made))
