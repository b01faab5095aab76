"""Requests in the format of OpenAI: their fields, and the error for a bad one.

The rules are those of openai-openapi and of recorded traffic. Bad requests are refused as OpenAI refuses them, so that
the clients of a forwarder get what they would get from OpenAI. What OpenAI refuses and other servers accept without
effect (`max_tokens: -1`, `stop: []`) is accepted.
"""

from __future__ import annotations

import json
from typing import Any

from lumen_conformance import schemas
from lumen_conformance.gateway.exchange import ReceivedRequest

JsonObject = dict[str, Any]

CHAT_SUFFIX = "/chat/completions"
CREATED_UNIX_S = 1_761_268_140  # of the models: the same in each answer
REQUIRED = {"model", "messages"}
# Null is legal for every other parameter (openapi.yaml:33105; the types of openai-python are generated from it). OpenAI
# refuses these (run-llama/llama_index#20814, fixie-ai/ai-jsx#169).
NEVER_NULL = (*REQUIRED, "functions", "function_call", "parallel_tool_calls", "response_format", "tool_choice", "tools",
              "user")  # fmt: skip
LIMITS = ("max_completion_tokens", "max_tokens")
TOOLS = ("function", "custom")


def is_openai(call: ReceivedRequest) -> bool:
    """Return whether a request is a chat in the format of OpenAI."""
    return call.route.endswith(CHAT_SUFFIX)


def read_object(call: ReceivedRequest) -> JsonObject:
    """Return the JSON object of a request; empty for any other body."""
    try:
        body = json.loads(call.body)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def wants_stream(call: ReceivedRequest) -> bool:
    """Return whether the request asks for a stream."""
    return read_object(call).get("stream") is True


def error(message: str, kind: str = "invalid_request_error", param: str | None = None, code: str | None = None) -> JsonObject:  # fmt: skip  # noqa: E501
    """Return the body of an error."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def refusal(call: ReceivedRequest) -> JsonObject | None:
    """Return the error for a body that OpenAI refuses with 400, or None for a good one."""
    try:
        request = json.loads(call.body.decode(), parse_constant=_refuse_constant)
        json.dumps(request, ensure_ascii=False).encode()  # half a surrogate pair is no character
    except (ValueError, RecursionError):
        return error("We could not parse the JSON body of your request.")
    if not isinstance(request, dict):
        return error("The body of your request is not a JSON object.")
    return _breach(_given(request)) or _contradiction(_given(request))


def models(*names: str) -> JsonObject:
    """Return a list of models."""
    return {"object": "list", "data": [model(name) for name in names]}


def model(name: str) -> JsonObject:
    """Return one model."""
    return {"id": name, "object": "model", "created": CREATED_UNIX_S, "owned_by": "scripted"}


def chosen_tool(request: JsonObject) -> JsonObject | None:
    """Return the tool that must be called: the named one, or the first; None where no call is required."""
    choice, tools = request.get("tool_choice"), request.get("tools") or []
    if isinstance(choice, dict) and choice.get("type") in TOOLS:
        return next((tool for tool in tools if _name_of(tool) == _name_of(choice)), None)
    return tools[0] if choice == "required" and tools else None


def _given(request: JsonObject) -> JsonObject:
    """Return the members that have an effect."""
    return {
        name: value
        for name, value in request.items()
        if (value is not None or name in NEVER_NULL) and (name, value) != ("stop", [])
    }


def _breach(given: JsonObject) -> JsonObject | None:
    """Return an error for the first breach of the schema."""
    if null := next((name for name in NEVER_NULL if name in given and given[name] is None), None):
        return error(f"Invalid type for '{null}': got null instead.", param=null, code="invalid_type")
    for breach in schemas.find_breaches("openai-chat-request", given):
        field = _spell(breach.path) or next((name for name in REQUIRED if name not in given), None)
        return error(f"Invalid value for '{field}': {breach.text[:200]}", param=field)
    return None


def _contradiction(given: JsonObject) -> JsonObject | None:
    """Return an error for the first contradiction between members, or for a bad value that the schema allows."""
    if "stream_options" in given and given.get("stream") is not True:  # openapi.yaml:31765
        return error("The 'stream_options' parameter is only allowed when 'stream' is enabled.", param="stream_options")
    for name in LIMITS:
        if given.get(name) == 0:
            return error(f"Invalid '{name}': expected a value >= 1, but got 0 instead.", param=name)
    return _bad_tools(given)


def _bad_tools(given: JsonObject) -> JsonObject | None:
    """Return an error for the first tool without a name, or for a `tool_choice` that names no tool."""
    for number, tool in enumerate(given.get("tools", [])):
        if not _name_of(tool):
            return error(f"Missing required parameter: 'tools[{number}].function.name'.", param=f"tools[{number}]")
    choice = given.get("tool_choice", "auto")
    free = choice.get("type") == "allowed_tools" if isinstance(choice, dict) else choice in {"auto", "none"}
    if not free and chosen_tool(given) is None:
        return error("The 'tool_choice' names none of the 'tools'.", param="tool_choice")
    return None


def _name_of(tool: JsonObject) -> str | None:
    """Return the name in a tool, or in a choice of a tool."""
    kind = tool.get("type")
    member = tool.get(kind) if kind in TOOLS else None
    name = member.get("name") if isinstance(member, dict) else None
    return name if isinstance(name, str) and name else None


def _spell(path: tuple[str | int, ...]) -> str:
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return "".join(steps).removeprefix(".")


def _refuse_constant(constant: str) -> object:
    raise ValueError(f"{constant} is no JSON")
