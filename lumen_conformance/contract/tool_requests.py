"""Requests with tools, and the tool calls that the scripted gateway answers them with."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from lumen_conformance.contract.session import ContractSession
from lumen_conformance.gateway.replies import call_tools
from lumen_conformance.http.client import Capture

Json = dict[str, Any]


def offer(name: str, **properties: str) -> Json:
    """A function that a request offers, with the types of its parameters."""
    parameters = {"type": "object", "properties": {key: {"type": kind} for key, kind in properties.items()}}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


def called(name: str, **arguments: object) -> Json:
    """A call of a function, as `call_tools` sends it."""
    text = json.dumps(arguments, ensure_ascii=False)
    return {"type": "function", "function": {"name": name, "arguments": text}}


NOW, TODAY = offer("now"), offer("today")
WEATHER = offer("weather_of", city="string", note="string")
# Where each character has two units of UTF-16, every second place to cut is within one; after an x, the others are.
EMOJI = "🌸" * 200
LOOK = "Let me look."
# What the gateway calls: the calls, and the text beside them.
SCRIPTED_CALLS: dict[str, tuple[list[Json], str | None]] = {
    "korean": ([called("weather_of", city="서울특별시", note="👩‍👩‍👧‍👦 나들이")], None),
    "quotes": ([called("weather_of", city='the "city"', note="a \\ b\n{'c': [\"d\"]}")], None),
    "emoji": ([called("weather_of", city="Seoul", note=f"{EMOJI}x{EMOJI}")], None),
    "empty": ([called("now")], None),
    "long": ([called("weather_of", city="Seoul", note=" ".join(f"word {number}" for number in range(30)))], None),
    "two": ([called("weather_of", city="Seoul"), called("weather_of", city="Busan")], None),
    "text": ([called("weather_of", city="Seoul")], LOOK),
}


def ask_for_tool(session: ContractSession, **fields: Any) -> Capture:  # noqa: ANN401 -- fields of the request
    """Ask a question that requires a tool call."""
    return session.ask("Call the tool.", tools=[NOW], tool_choice="required", **fields)


def ask_for_named_tool(session: ContractSession) -> Capture:
    """Ask a question that requires a call of the second tool."""
    choice = {"type": "function", "function": {"name": "today"}}
    return session.ask("Call the tool.", tools=[NOW, TODAY], tool_choice=choice)


def ask_for_scripted_call(session: ContractSession, name: str, **fields: Any) -> Capture:  # noqa: ANN401 -- fields of the request
    """Ask a question that requires a tool call; the gateway answers each request with the calls of this name."""
    calls, text = SCRIPTED_CALLS[name]
    with session.failing(call_tools(*calls, text=text)):  # for every request, as a proxy may retry
        return session.ask("Call the tools.", tools=[WEATHER, NOW], tool_choice="required", **fields)


TOOL_EXCHANGES: dict[str, Callable[[ContractSession], Capture]] = {
    "tool_call": ask_for_tool,
    "tool_stream": partial(ask_for_tool, stream=True),
    "tool_usage_stream": partial(ask_for_tool, stream=True, stream_options={"include_usage": True}),
    "named_tool_call": ask_for_named_tool,
}
SCRIPTED_EXCHANGES: dict[str, Callable[[ContractSession], Capture]] = {
    **{f"called_{name}": partial(ask_for_scripted_call, name=name) for name in SCRIPTED_CALLS},
    **{f"called_{name}_stream": partial(ask_for_scripted_call, name=name, stream=True) for name in SCRIPTED_CALLS},
}
