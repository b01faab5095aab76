"""JSON Schemas (draft 2020-12) of all requests and responses, and a function that validates a value.

Every schema of a response allows unknown fields. ``1.0`` and ``true`` are not integers here, although JSON Schema
allows ``1.0``. References name files of this folder; nothing is downloaded.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

from lumen_conformance.schemas.compiler import Breach, Compiler, Rule
from lumen_conformance.schemas.descriptions import Schema

__all__ = ["EXAMPLES", "HERE", "URN", "Breach", "find_breaches", "list_schemas"]

HERE = Path(__file__).parent
EXAMPLES = HERE / "examples"
URN = "urn:lumen:"


def list_schemas() -> tuple[str, ...]:
    """Return the names of the schemas, such as ``openai-error``."""
    return tuple(sorted(path.name.removesuffix(".schema.json") for path in HERE.glob("*.schema.json")))


def find_breaches(name: str, value: Any) -> tuple[Breach, ...]:  # noqa: ANN401 -- any JSON value
    """Return each violation of a schema, ordered by path; raises KeyError for an unknown name."""
    found: list[Breach] = []
    _rule(name)(value, (), found)
    return tuple(sorted(found, key=lambda breach: [str(step) for step in breach.path])) if found else ()


@cache
def _rule(name: str) -> Rule:
    return Compiler(_resolve).rule(_schemas()[name])


def _resolve(reference: str) -> Schema:
    """Return the schema of a reference: a document, or a part of one."""
    document, _, steps = reference.removeprefix(URN).partition("#")
    found = _schemas()[document]
    for step in filter(None, steps.split("/")):
        found = found[step]
    return found


@cache
def _schemas() -> dict[str, Schema]:
    return {name: json.loads((HERE / f"{name}.schema.json").read_text("utf-8")) for name in list_schemas()}
