"""JSON Schemas (draft 2020-12) of everything that is said on the wire, and one function to ask them.

Unknown fields are tolerated in every answer. ``1.0`` and ``true`` are no integers here, which JSON Schema alone would
allow. References are names in this folder; nothing is ever fetched.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

from lumen_conformance.schemas.compiler import Breach, Compiler, Rule
from lumen_conformance.schemas.descriptions import Schema

__all__ = ["EXAMPLES", "HERE", "URN", "Breach", "breaches", "names"]

HERE = Path(__file__).parent
EXAMPLES = HERE / "examples"
URN = "urn:lumen:"


def names() -> tuple[str, ...]:
    """Every schema by name, such as ``openai-error``."""
    return tuple(sorted(path.name.removesuffix(".schema.json") for path in HERE.glob("*.schema.json")))


def breaches(name: str, value: Any) -> tuple[Breach, ...]:  # noqa: ANN401 -- any JSON value
    """Every way in which a value breaks a schema, in the order of their places; raises KeyError for an unknown name."""
    found: list[Breach] = []
    _rule(name)(value, (), found)
    return tuple(sorted(found, key=lambda breach: [str(step) for step in breach.path])) if found else ()


@cache
def _rule(name: str) -> Rule:
    return Compiler(_resolve).rule(_schemas()[name])


def _resolve(reference: str) -> Schema:
    """The schema that a reference names: a whole document, or a part of one."""
    document, _, steps = reference.removeprefix(URN).partition("#")
    found = _schemas()[document]
    for step in filter(None, steps.split("/")):
        found = found[step]
    return found


@cache
def _schemas() -> dict[str, Schema]:
    return {name: json.loads((HERE / f"{name}.schema.json").read_text("utf-8")) for name in names()}
