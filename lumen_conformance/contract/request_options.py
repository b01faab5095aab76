"""The options of a chat request (openapi.yaml: CreateChatCompletionRequest) that a proxy has to forward.

Each request has many options, so that few requests are needed. Where a target refuses a request, each of its options is
sent alone. `OPTIONS` must arrive with their values, be applied by the target, or be refused. `FREE_OPTIONS` have no
effect on the answer, or their default value: they arrive unchanged or not at all.
"""

from __future__ import annotations

from typing import NamedTuple

from lumen_conformance.contract.option_values import includes
from lumen_conformance.gateway.openai_requests import LIMITS, JsonObject
from lumen_conformance.schemas.descriptions import format_value

STOP = "####"
LIMIT_TOKENS = 20  # more than the least that OpenAI's newer API accepts, 16


def tool(name: str) -> JsonObject:
    """A function that a model may call."""
    city = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    return {"name": name, "description": f"the {name} of a city", "parameters": city}


FUNCTIONS = [tool("weather"), tool("population")]
TOOLS = [{"type": "function", "function": each} for each in FUNCTIONS]
NAMED = {"type": "function", "function": {"name": "population"}}
SCHEMA = {
    "name": "city",
    "strict": True,
    "schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
REQUESTS: dict[str, JsonObject] = {
    "values": {
        "temperature": 0.7,
        "top_p": 0.9,
        "presence_penalty": 0.5,
        "frequency_penalty": -0.5,
        "seed": 7,
        "logit_bias": {"50256": -100},
        "logprobs": True,
        "top_logprobs": 2,
        "max_tokens": LIMIT_TOKENS,
        "stop": [STOP, "----"],
        "service_tier": "flex",
        "user": "user-7",
        "store": True,
        "metadata": {"team": "blue"},
    },
    "zeros": {
        "temperature": 0,
        "top_p": 0,
        "presence_penalty": 0,
        "frequency_penalty": 0,
        "seed": 0,
        "logit_bias": {},
        "logprobs": False,
        "max_completion_tokens": LIMIT_TOKENS,
        "stop": STOP,
        "user": "",
        "store": False,
        "tools": TOOLS,
        "tool_choice": "none",
    },
    "formats": {
        "response_format": {"type": "json_schema", "json_schema": SCHEMA},
        "reasoning_effort": "low",
        "verbosity": "low",
        "web_search_options": {"search_context_size": "low"},
        "modalities": ["text"],
        "prediction": {"type": "content", "content": "Seoul"},
        "prompt_cache_key": "cache-7",
        "safety_identifier": "person-7",
    },
    "choices": {
        "tools": TOOLS,
        "tool_choice": NAMED,
        "parallel_tool_calls": False,
        "response_format": {"type": "json_object"},
    },
    "functions": {"functions": FUNCTIONS, "function_call": {"name": "population"}},
    "usage": {"stream_options": {"include_usage": True}},
}
NEEDS = {
    "tool_choice": ("tools",),
    "parallel_tool_calls": ("tools",),
    "function_call": ("functions",),
    "top_logprobs": ("logprobs",),
}


class Option(NamedTuple):
    """One option: the request that has it, and its name there."""

    request: str
    name: str

    @property
    def value(self) -> object:
        """The value that is sent."""
        return REQUESTS[self.request][self.name]

    @property
    def alone(self) -> JsonObject:
        """The option, with the others that it needs."""
        return {name: REQUESTS[self.request][name] for name in (*NEEDS.get(self.name, ()), self.name)}


OPTIONS: dict[str, Option] = {
    **{name: Option("values", name) for name in (
        "temperature", "top_p", "presence_penalty", "frequency_penalty", "seed", "logit_bias", "logprobs",
        "top_logprobs", "max_tokens", "service_tier",
    )},
    "stop_list": Option("values", "stop"),
    "stop_string": Option("zeros", "stop"),
    **{f"{name}_zero": Option("zeros", name) for name in ("temperature", "top_p", "seed")},
    "max_completion_tokens": Option("zeros", "max_completion_tokens"),
    "tools": Option("choices", "tools"),
    "tool_choice_none": Option("zeros", "tool_choice"),
    "tool_choice_named": Option("choices", "tool_choice"),
    "parallel_tool_calls_false": Option("choices", "parallel_tool_calls"),
    "response_format_schema": Option("formats", "response_format"),
    "response_format_object": Option("choices", "response_format"),
    **{name: Option("formats", name) for name in ("reasoning_effort", "verbosity", "web_search_options")},
    **{name: Option("functions", name) for name in ("functions", "function_call")},
}  # fmt: skip
FREE_OPTIONS: dict[str, Option] = {
    **{name: Option("values", name) for name in ("user", "store", "metadata")},
    **{f"{name}_empty": Option("zeros", name) for name in ("user", "logit_bias")},
    **{f"{name}_zero": Option("zeros", name) for name in ("presence_penalty", "frequency_penalty")},
    **{f"{name}_false": Option("zeros", name) for name in ("store", "logprobs")},
    **{name: Option("formats", name) for name in ("modalities", "prediction", "prompt_cache_key", "safety_identifier")},
}


def arrives(option: Option, received: JsonObject) -> bool:
    """Whether a request to the gateway has an option with its value, under any name that OpenAI documents for it."""
    sent, found = option.value, received.get(option.name)
    match option.name:
        case "max_tokens" | "max_completion_tokens":  # a proxy may have a lower limit of its own
            limits = [received.get(name) for name in LIMITS]
            return any(type(limit) is int and 0 < limit <= LIMIT_TOKENS for limit in limits)
        case "logit_bias":
            return found == sent
        case "stop":
            return has_each(_listed(found), _listed(sent))
        case "tools":
            return has_each(found, sent)
        case "tool_choice" if sent == "none":
            return found == "none" or not received.get("tools")
        case "functions" if found is None:
            return has_each(received.get("tools"), TOOLS)
        case "function_call" if found is None:
            return includes(received.get("tool_choice"), NAMED)
    return option.name in received and includes(found, sent)


def describe_option(option: Option, received: JsonObject) -> str:
    """Describe an option of a request to the gateway, or its absence."""
    found = received.get(option.name)
    return f"no {option.name}" if option.name not in received else f"{option.name}: {format_value(found)}"


def has_each(found: object, sent: object) -> bool:
    """Whether a list has each of the sent ones; a proxy may add its own stop sequences and tools."""
    if not isinstance(found, list) or not isinstance(sent, list):
        return False
    return all(any(includes(each, one) for each in found) for one in sent)


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value
