"""The text of an answer in the format that a request asks for by `response_format`."""

from __future__ import annotations

import json
from typing import Any

from lumen_conformance.gateway.openai_requests import JsonObject

NUMBERS: dict[str, object] = {"integer": 1, "number": 0.5, "boolean": True, "null": None}


def formatted(request: JsonObject, text: str) -> str:
    """Return the text as it is, or in JSON: an object that contains it, or an example that fits the schema."""
    form = request.get("response_format") or {}
    if form.get("type") == "json_object":
        return json.dumps({"text": text}, ensure_ascii=False)
    if form.get("type") == "json_schema":
        schema = (form.get("json_schema") or {}).get("schema") or {}
        return json.dumps(example(schema, text), ensure_ascii=False)
    return text


def example(schema: JsonObject, text: str) -> Any:  # noqa: ANN401 -- any JSON
    """Return a value that fits a simple schema: each string is the text, each list has one item."""
    if "const" in schema or schema.get("enum"):
        return schema["const"] if "const" in schema else schema["enum"][0]
    if options := schema.get("anyOf"):
        return example(options[0], text)
    kind = schema.get("type", "object")
    kind = kind[0] if isinstance(kind, list) and kind else kind
    if kind == "object":
        return {name: example(each, text) for name, each in (schema.get("properties") or {}).items()}
    if kind == "array":
        return [example(schema.get("items") or {"type": "string"}, text)]
    return NUMBERS.get(str(kind), text)
