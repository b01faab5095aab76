"""Breaches of schemas are described in plain English."""

from __future__ import annotations

from typing import Any

import pytest

from lumen_conformance.schemas.compiler import Breach, Compiler


def breach(schema: dict[str, Any], value: object) -> Breach:
    """Return the only breach of a schema by a value; every reference means a string."""
    found: list[Breach] = []
    Compiler(lambda _reference: {"type": "string"}).rule(schema)(value, (), found)
    [only] = found
    return only


TEXT = {"type": "string", "minLength": 1}
MEMBERS: list[tuple[dict[str, Any], object, str, str]] = [
    (TEXT, "", "a non-empty string", '""'),
    (TEXT, None, "a non-empty string", "null"),
    ({"type": "string", "minLength": 3}, "ab", "a string of at least 3 characters", '"ab"'),
    ({"type": "string", "pattern": "^[0-9]+$"}, "a", "a string that matches ^[0-9]+$", '"a"'),
    ({"type": "integer", "minimum": 0}, 1.0, "an integer of at least 0", "1.0"),
    ({"type": "integer", "minimum": 0}, -1, "an integer of at least 0", "-1"),
    ({"type": "integer"}, True, "an integer", "true"),
    ({"type": "number", "minimum": 0, "maximum": 2}, 9, "a number from 0 to 2", "9"),
    ({"type": "number", "maximum": 2}, 9, "a number of at most 2", "9"),
    ({"type": ["boolean", "null"]}, "no", "true or false or null", '"no"'),
    ({"const": "list"}, "x", '"list"', '"x"'),
    ({"enum": ["stop", "length", None]}, 1, '"stop", "length" or null', "1"),
    ({"type": "array", "minItems": 1}, [], "a non-empty list", "[]"),
    ({"type": "array", "minItems": 2}, [], "a list of at least 2 values", "[]"),
    ({"type": "array", "maxItems": 1}, [1, 2], "a list of 0 to 1 values", "[1, 2]"),
    ({"$ref": "any"}, {}, "a string", "{}"),
    ({"anyOf": [TEXT, {"$ref": "any"}, {"type": "null"}]}, 1, "a non-empty string, a string or null", "1"),
]


@pytest.mark.parametrize(("schema", "value", "expected", "found"), MEMBERS)
def test_members(schema: dict[str, Any], value: object, expected: str, found: str) -> None:
    """Each keyword describes the expected and the found value of a member."""
    found_breach = breach({"properties": {"x": schema}}, {"x": value})
    assert (found_breach.expected, found_breach.found) == (f"x: {expected}", f"x is {found}")


OBJECTS: list[tuple[dict[str, Any], object, str, str]] = [
    ({"required": ["id"], "properties": {"id": TEXT}}, {}, "id: a non-empty string", "id is missing"),
    ({"required": ["id"]}, {}, "id: any value", "id is missing"),
    ({"type": "object"}, [1], "the JSON value: an object", "the JSON value is [1]"),
    (
        {"properties": {"a": {}}, "additionalProperties": False},
        {"b": 2},
        "the JSON value: no key but a",
        "the JSON value has b",
    ),
    ({"additionalProperties": {"type": "integer"}}, {"50256": "x"}, "50256: an integer", '50256 is "x"'),
    ({"properties": {"c": {"items": {"type": "object"}}}}, {"c": ["a"]}, "c[0]: an object", 'c[0] is "a"'),
    ({"if": {"required": ["a"]}, "then": {"required": ["b"]}}, {"a": 1}, "b: any value", "b is missing"),
    ({"if": {"required": ["a"]}, "else": {"required": ["c"]}}, {}, "c: any value", "c is missing"),
]


@pytest.mark.parametrize(("schema", "value", "expected", "found"), OBJECTS)
def test_objects(schema: dict[str, Any], value: object, expected: str, found: str) -> None:
    """Keywords about several members name the member that breaks the rule."""
    found_breach = breach(schema, value)
    assert (found_breach.expected, found_breach.found) == (expected, found)


def test_long_values_are_cut() -> None:
    """A found value is cut to one line."""
    found = breach({"type": "object"}, ["\ud83d" * 100_000]).found
    assert len(found) < 200
    assert "\n" not in found
