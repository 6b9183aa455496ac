from __future__ import annotations

import pytest

from composer.errors import RecipeError
from composer.recipes.located_yaml import parse


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("1e-4", 1e-4),
        ("no", "no"),
        ("on", "on"),
        ("12:30", "12:30"),
        ("010", 10),
        ("2026-11-21", "2026-11-21"),
        ("true", True),
        ("~", None),
        (".5", 0.5),
        ("-3", -3),
        ("'3'", "3"),
        ("1_000", "1_000"),
    ],
)
def test_scalars_mean_what_people_think(written: str, meant: object) -> None:
    value = parse(f"key: {written}", "r.yaml").data["key"]
    assert value == meant, f"{written} was read as {value!r}"
    assert type(value) is type(meant), f"{written} was read as {value!r}"


def test_a_repeated_key_is_an_error_that_names_both_places() -> None:
    with pytest.raises(RecipeError) as caught:
        parse("a: 1\nb: 2\na: 3\n", "r.yaml")
    assert str(caught.value) == "r.yaml:3:1: a: repeated key; it stands already at 1:1"


def test_every_value_knows_its_place() -> None:
    document = parse("a:\n  - b: 1\n  - c\n", "r.yaml")
    assert document.place(("a", 0, "b")) == "r.yaml:2:5"
    assert document.place(("a", 1)) == "r.yaml:3:5"
    assert document.place(("a", 1, "absent")) == "r.yaml:3:5", "an absent part is where its surroundings are"


@pytest.mark.parametrize(
    "text", ["a: !!python/object/apply:os.system [ls]", "a: !mine 3", "a: [1, 2", "\t- a", "&a [*a]"]
)
def test_tags_broken_yaml_and_endless_aliases_are_refused_with_a_place(text: str) -> None:
    with pytest.raises(RecipeError, match=r"^r\.yaml:\d+:\d+: "):
        parse(text, "r.yaml")


@pytest.mark.parametrize("depth", [40, 1_000, 100_000])
@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_what_nests_too_deep_is_refused_with_a_place(opening: str, depth: int) -> None:
    with pytest.raises(RecipeError, match=r"^r\.yaml:1:\d+: too large or too deep"):
        parse(opening * depth, "r.yaml")


def test_millions_of_letters_and_thousands_of_digits_are_refused_in_a_short_sentence() -> None:
    for text in (f"name: {'x' * 10_000_000}", f"seed: {'9' * 5_000}"):
        with pytest.raises(RecipeError, match=r"too many for a recipe|of 5,000 digits is too long") as caught:
            parse(text, "r.yaml")
        assert len(str(caught.value)) < 200
