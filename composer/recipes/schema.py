"""A JSON Schema (draft-07) of recipes, for completion and red lines in editors."""

from __future__ import annotations

import typing
from typing import Any

from composer.component import Component
from composer.data.expressions import MOST_CONCEPTS
from composer.interfaces import INTERFACES
from composer.recipes.recipe import LONGEST_NAME, NAME_PATTERN, nested_interface
from composer.recipes.target import LONGEST_FORMULA
from composer.registry import Registry

ID = "recipe.schema.json"
"""What the first lines of recipes name, and the file beside them that `composer schema --output` writes."""
MODELINE = f"# yaml-language-server: $schema={ID}"
"""That first line, by which an editor finds the schema."""
NAME = {"type": "string", "pattern": NAME_PATTERN, "maxLength": LONGEST_NAME}
CONCEPT = {**NAME, "not": {"const": "none"}}


def recipe_schema(registry: Registry) -> dict[str, Any]:
    """The schema of recipes that use what is installed.

    Slots are `if/then` on `use`, so that an editor's message is about the component that was meant.
    """
    definitions = {interface.kind: _slot(registry, interface.kind, interface.noun) for interface in INTERFACES}
    own: dict[str, Any] = {"images": _ref("images"), "models": _ref("models")}
    output = {"type": ["integer", "string"], "minimum": 0}
    classes = {
        "description": "which outputs mean the concept: numbers, class names or groups",
        "anyOf": [output, {"type": "array", "items": output}],
    }
    composition = {
        "type": "object",
        "properties": {"translator": _ref("translator"), "assembler": _ref("assembler")},
        "required": ["assembler"],
        "additionalProperties": False,
    }
    control = {"anyOf": [_ref("translator"), _ref("assembler")]}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": ID,
        "title": "composer recipe",
        "type": "object",
        "required": ["concepts", "compositions"],
        "additionalProperties": False,
        "if": {"required": ["images"]},
        "else": {
            "properties": {"controls": {"maxItems": 0}, "pick": False, "evaluators": False, "oracle": {"const": False}}
        },
        "properties": {
            "name": {**NAME, "description": "names the run's folder; the file's name by default"},
            "seed": {
                "type": "integer",
                "minimum": 0,
                "maximum": 2**63 - 1,
                "description": "every stage's own seed comes from it",
            },
            "root": {"type": "string", "description": "where relative paths start; the recipe's own folder by default"},
            "concepts": {
                "description": "attributes first, the object last",
                "anyOf": [
                    {"type": "array", "minItems": 2, "maxItems": MOST_CONCEPTS, "uniqueItems": True, "items": CONCEPT},
                    {
                        "type": "object",
                        "minProperties": 2,
                        "maxProperties": MOST_CONCEPTS,
                        "propertyNames": CONCEPT,
                        "additionalProperties": {
                            "anyOf": [
                                {"type": "null"},
                                {
                                    "type": "object",
                                    "properties": {**own, "classes": classes},
                                    "additionalProperties": False,
                                },
                            ]
                        },
                    },
                ],
            },
            "target": {
                "type": "string",
                "minLength": 1,
                "maxLength": LONGEST_FORMULA,
                "description": "a formula of the concepts with and, or, not and brackets, such as black and not cat; "
                "all of them at once by default",
            },
            **own,
            "extractor": _ref("extractor"),
            "compositions": {
                "type": "object",
                "minProperties": 1,
                "propertyNames": NAME,
                "additionalProperties": composition,
            },
            "controls": {"type": "array", "items": control},
            "pick": _ref("criterion"),
            "oracle": {
                "type": "boolean",
                "description": "also train a network on labelled pictures of the target, to measure composition gain",
            },
            "evaluators": {
                "anyOf": [
                    {"type": "array", "minItems": 1, "items": _ref("evaluator")},
                    {
                        "type": "object",
                        "minProperties": 1,
                        "propertyNames": NAME,
                        "additionalProperties": _ref("evaluator"),
                    },
                ]
            },
        },
        "definitions": definitions,
    }


def _ref(kind: str) -> dict[str, str]:
    return {"$ref": f"#/definitions/{kind}"}


def _slot(registry: Registry, kind: str, noun: str) -> dict[str, Any]:
    components = [component for component, _ in registry.components(kind)]
    names = [component.name for component in components]
    return {
        "description": f"a {noun}: NAME, or use: NAME with options beside it",
        "if": {"type": "string"},
        "then": {"enum": names},
        "else": {
            "type": "object",
            "required": ["use"],
            "properties": {"use": {"enum": names}},
            "allOf": [
                {
                    "if": {"properties": {"use": {"const": component.name}}, "required": ["use"]},
                    "then": _options(component),
                }
                for component in components
            ]
            or [True],
        },
    }


def _options(component: type[Component]) -> dict[str, Any]:
    properties: dict[str, Any] = {"use": {"const": component.name}}
    required = ["use"]
    for option, field in component.model_fields.items():
        if nested := nested_interface(field.annotation):
            null = [{"type": "null"}] if type(None) in typing.get_args(field.annotation) else []
            properties[option] = {"description": field.description, "anyOf": [_ref(nested.kind), *null]}
        else:
            properties[option] = _plain_option(component, option)
        if field.is_required():
            required.append(option)
    return {
        "description": component.summary(),
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _plain_option(component: type[Component], option: str) -> dict[str, Any]:
    """One option's schema by pydantic, apart from the others, which may be components."""
    from pydantic import create_model

    field = component.model_fields[option]
    alone = create_model("Option", **{option: (field.annotation, field)})  # type: ignore[call-overload]
    schema = draft7(alone.model_json_schema()["properties"][option])
    del schema["title"]
    return dict(schema)


def draft7(schema: Any) -> Any:
    """Draft 2020's `prefixItems` as draft-07's `items`."""
    if isinstance(schema, list):
        return [draft7(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: draft7(value) for key, value in schema.items()}
    if "prefixItems" in plain:
        plain["items"] = plain.pop("prefixItems")
    return plain
