"""Read an OpenAI chat request: validated once, here, field by field.

What the gateway has no control for is validated, ignored, and named in `ChatRequest.ignored`. null means absent
for every optional field.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lumen_proxy.wire.fields import FIELDS
from lumen_proxy.wire.problems import problem
from lumen_proxy.wire.text import strict_json

if TYPE_CHECKING:
    from lumen_proxy.errors import ApiError

MODELS: dict[str, str | None] = {
    "lumen-gateway": None,  # the gateway detects the persona
    "lumen-lua": "moon",
    "lumen-elo": "square",
    "lumen-nuri": "earth",
    "lumen-sena": "pen",
}
DEFAULT_MODEL = "lumen-gateway"
ROLES = ("system", "developer", "user", "assistant", "tool", "function")
LAST_ROLES = ("user", "tool")
USED = {"model", "messages", "stream", "stream_options", "n", "stop", "response_format", "user"}
MAX_STOPS = 4
LABELS = ("name", "tool_call_id")
SAID = {"role", "content", "refusal", "tool_calls", "function_call", *LABELS}


@dataclass(frozen=True)
class Message:
    """One turn: who, the text of all its parts, and by which name or to which call."""

    role: str
    text: str
    label: str = ""


@dataclass(frozen=True)
class ChatRequest:
    """A valid request. `requested_model` is what the caller wrote, `model` what serves it."""

    requested_model: str | None
    model: str
    messages: tuple[Message, ...]
    stream: bool
    include_usage: bool
    stops: tuple[str, ...]
    user: str | None
    ignored: tuple[str, ...]

    @property
    def persona(self) -> str | None:
        """The gateway's key of the persona that the model stands for."""
        return MODELS[self.model]


def parse(data: bytes, *, strict_model: bool = False, allow_tools: bool = False) -> ChatRequest:
    """Raises ApiError (400, or 404 for an unknown model when `strict_model`) whose `param` names the field."""
    try:
        body = strict_json(data)
    except ValueError:
        raise problem("invalid_json") from None
    if not isinstance(body, dict):
        raise problem("invalid_json", "The request body must be a JSON object.")
    _check_types(body)
    _check_unsupported(body, allow_tools=allow_tools)
    requested, model = _model(body.get("model"), strict=strict_model)
    messages = _messages(body.get("messages"))
    ignored = {name for name, value in body.items() if name not in USED and value is not None}
    return ChatRequest(
        requested_model=requested,
        model=model,
        messages=messages,
        stream=bool(body.get("stream")),
        include_usage=_include_usage(body.get("stream_options") or {}),
        stops=_stops(body.get("stop")),
        user=body.get("user") or None,
        ignored=tuple(sorted(ignored | _unsaid(body["messages"]))),
    )


def _invalid(param: str, wanted: str) -> ApiError:
    return problem("invalid_value", f"'{param}' must be {wanted}.", param)


def _check_types(body: dict[str, Any]) -> None:
    for name, value in body.items():
        if name in FIELDS and value is not None and not FIELDS[name].allows(value):
            raise _invalid(name, FIELDS[name].wanted)


def _check_unsupported(body: dict[str, Any], *, allow_tools: bool) -> None:
    choices, form = body.get("n"), body.get("response_format")
    if choices is not None and (type(choices) is not int or choices != 1):
        raise problem("unsupported_value", "Only one choice can be made; 'n' must be 1.", "n")
    if form is not None and form.get("type") != "text":
        raise problem("unsupported_value", "The gateway answers in free text only.", "response_format")
    for name, choice in (("tools", "tool_choice"), ("functions", "function_call")):
        if body.get(name) and "none" not in (body.get(choice), body.get("tool_choice")) and not allow_tools:
            raise problem("unsupported_parameter", f"The gateway cannot call '{name}'.", name)


def _model(requested: object, *, strict: bool) -> tuple[str | None, str]:
    if requested is None:
        return None, DEFAULT_MODEL
    if not isinstance(requested, str):
        raise _invalid("model", "a string")
    if strict and requested not in MODELS:
        raise model_not_found(requested)
    return requested, requested if requested in MODELS else DEFAULT_MODEL


def model_not_found(requested: str) -> ApiError:
    """404, for a name that is not in `MODELS`."""
    return problem("model_not_found", f"The model {json.dumps(requested[:64])} does not exist.", "model")


def _include_usage(options: dict[str, Any]) -> bool:
    value = options.get("include_usage")
    if value is not None and not isinstance(value, bool):
        raise _invalid("stream_options.include_usage", "true or false")
    return bool(value)


def _stops(value: object) -> tuple[str, ...]:
    stops = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(stops, list) or len(stops) > MAX_STOPS or (value is not None and not stops):
        raise _invalid("stop", f"a string or 1 to {MAX_STOPS} strings")
    if not all(isinstance(stop, str) and stop for stop in stops):
        raise _invalid("stop", f"a string or 1 to {MAX_STOPS} strings, none of them empty")
    return tuple(stops)


def _messages(value: object) -> tuple[Message, ...]:
    if not isinstance(value, list) or not value:
        raise _invalid("messages", "a list of at least one message")
    messages = tuple(_message(message, f"messages[{index}]") for index, message in enumerate(value))
    if not any(message.role == "user" and message.text.strip() for message in messages):
        raise _invalid("messages", "a conversation with at least one user message that is not blank")
    if messages[-1].role not in LAST_ROLES:
        raise _invalid(f"messages[{len(messages) - 1}].role", "'user' or 'tool' in the last message")
    return messages


def _message(value: object, where: str) -> Message:
    if not isinstance(value, dict):
        raise _invalid(where, "an object with role and content")
    role = value.get("role")
    if not isinstance(role, str) or role not in ROLES:
        raise _invalid(f"{where}.role", "one of: " + ", ".join(ROLES))
    text = _content(value.get("content"), f"{where}.content", may_be_null=role == "assistant")
    refusal, *labels = (_optional(value, name, where) for name in ("refusal", *LABELS))
    calls = value.get("tool_calls") or value.get("function_call")
    done = json.dumps(calls, ensure_ascii=False) if calls else ""  # what an assistant did is of the conversation, too
    return Message(role, "\n".join(filter(None, (text, refusal, done))), " ".join(filter(None, labels)))


def _optional(message: dict[str, Any], name: str, where: str) -> str:
    value = message.get(name)
    if value is not None and not isinstance(value, str):
        raise _invalid(f"{where}.{name}", "a string")
    return value or ""


def _unsaid(messages: list[dict[str, Any]]) -> set[str]:
    """What no text can carry; nothing is dropped in silence. A lone message is sent without a label, too."""
    said = SAID if len(messages) > 1 else SAID - set(LABELS)
    return {f"messages[].{name}" for message in messages for name in message if name not in said and message[name]}


def _content(value: object, where: str, *, may_be_null: bool) -> str:
    if value is None and may_be_null:
        return ""
    if isinstance(value, str):
        return value
    if not isinstance(value, list) or not value:
        raise _invalid(where, "a string or a list of text parts")
    return "\n".join(_part(part, f"{where}[{index}]") for index, part in enumerate(value))


def _part(part: object, where: str) -> str:
    if not isinstance(part, dict) or not isinstance(part.get("type"), str):
        raise _invalid(where, "an object with a type")
    if part["type"] == "refusal" and isinstance(part.get("refusal"), str):
        return str(part["refusal"])
    if part["type"] != "text":
        raise problem("unsupported_value", f"'{where}': only text parts can be sent to the gateway.", where)
    if not isinstance(part.get("text"), str):
        raise _invalid(f"{where}.text", "a string")
    return str(part["text"])
