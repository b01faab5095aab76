"""Read an OpenAI chat request: validated once, here, field by field.

What the gateway has no control for is validated, ignored, and named in `ChatRequest.ignored`. null means absent
for every optional field.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lumen_proxy.wire.api_errors import problem
from lumen_proxy.wire.body import not_utf8
from lumen_proxy.wire.fields import FIELDS, is_whole
from lumen_proxy.wire.messages import invalid, read_messages, unused_fields
from lumen_proxy.wire.models import MODELS, serving_model
from lumen_proxy.wire.text import strict_json, why_not_json

if TYPE_CHECKING:
    from lumen_proxy.wire.messages import Message

USED = {"model", "messages", "stream", "stream_options", "n", "stop", "response_format", "user"}
MAX_STOPS = 4
MAX_CHOICES = 128
REMEDY = "or set LUMEN_UNSUPPORTED=ignore on the proxy"


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

    @property
    def replaced_parts(self) -> int:
        """Images and other parts in whose place a placeholder is sent."""
        return sum(message.replaced for message in self.messages)


def parse(data: bytes, *, strict_model: bool = False, ignore_unsupported: bool = False) -> ChatRequest:
    """Raises ApiError (400, or 404 for an unknown model when `strict_model`) whose `param` names the field."""
    try:
        body = strict_json(data)
    except UnicodeDecodeError as error:
        raise not_utf8(data, error) from None
    except ValueError as error:
        raise problem("invalid_json", f"The request body is not valid JSON: {why_not_json(error)}.") from None
    if not isinstance(body, dict):
        raise problem("invalid_json", "The request body must be a JSON object.")
    _check_types(body)
    unsupported = _unsupported(body)
    if unsupported and not ignore_unsupported:
        name, code, message = unsupported[0]
        raise problem(code, message, name)
    requested = body.get("model")
    model = serving_model(requested, strict=strict_model)
    messages = read_messages(body.get("messages"), replace_all=ignore_unsupported)
    ignored = {name for name, value in body.items() if name not in USED and value is not None}
    ignored |= {name for name, *_ in unsupported} | unused_fields(body["messages"])
    return ChatRequest(
        requested_model=requested,
        model=model,
        messages=messages,
        stream=bool(body.get("stream")),
        include_usage=bool((body.get("stream_options") or {}).get("include_usage")),
        stops=_stops(body.get("stop")),
        user=body.get("user") or None,
        ignored=tuple(sorted(ignored)),
    )


def _check_types(body: dict[str, Any]) -> None:
    for name, value in body.items():
        if name in FIELDS and value is not None and not FIELDS[name].allows(value):
            raise invalid(name, FIELDS[name].expected)
    usage = (body.get("stream_options") or {}).get("include_usage")
    if usage is not None and not isinstance(usage, bool):
        raise invalid("stream_options.include_usage", "true or false")
    if body.get("n") is not None and not is_whole(body["n"], 1, MAX_CHOICES):
        raise problem("unsupported_value", "'n' must be 1.", "n")


def _unsupported(body: dict[str, Any]) -> list[tuple[str, str, str]]:
    """What the gateway cannot do: the field, the code of the error, and its message with the remedy."""
    found = [
        (name, "unsupported_parameter", f"The gateway cannot call tools. Use {name} 'auto' or 'none', {REMEDY}.")
        for name in ("tool_choice", "function_call")
        if _forces_a_call(body.get(name))
    ]
    if (body.get("n") or 1) != 1:
        found.append(("n", "unsupported_value", f"The gateway gives one answer. Use n = 1, {REMEDY}."))
    form = body.get("response_format")
    if form is not None and form.get("type") != "text":
        text = "The gateway answers in free text. Leave out 'response_format' and ask for JSON in the prompt"
        found.append(("response_format", "unsupported_value", f"{text}, {REMEDY}."))
    return found


def _forces_a_call(choice: object) -> bool:
    """Whether a call must come. Otherwise OpenAI's protocol allows an answer in text, although tools were offered."""
    if isinstance(choice, dict) and isinstance(choice.get("allowed_tools"), dict):
        choice = choice["allowed_tools"].get("mode")
    return choice not in (None, "auto", "none")


def _stops(value: object) -> tuple[str, ...]:
    """None for null, an empty string and an empty list, which clients send for a setting without a value."""
    if value in (None, "", []):
        return ()
    stops = [value] if isinstance(value, str) else value
    if not isinstance(stops, list) or len(stops) > MAX_STOPS:
        raise invalid("stop", f"a string or 1 to {MAX_STOPS} strings")
    if not all(isinstance(stop, str) and stop for stop in stops):
        raise invalid("stop", f"a string or 1 to {MAX_STOPS} strings, none of them empty")
    return tuple(stops)
