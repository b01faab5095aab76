"""Parse and validate an OpenAI chat request.

Fields that the gateway does not support are validated, ignored, and listed in `ChatRequest.ignored`. null means absent
for each optional field.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lumen_proxy.wire.api_errors import api_error
from lumen_proxy.wire.fields import FIELDS, is_whole
from lumen_proxy.wire.messages import invalid, read_messages, unused_fields
from lumen_proxy.wire.openai import MODELS, serving_model
from lumen_proxy.wire.text import strict_json, why_not_json

if TYPE_CHECKING:
    from lumen_proxy.errors import ApiError
    from lumen_proxy.wire.messages import Message

USED = {"model", "messages", "stream", "stream_options", "n", "stop", "response_format", "user"}
MAX_STOPS = 4
MAX_CHOICES = 128
REMEDY = "or set LUMEN_UNSUPPORTED=ignore on the proxy"
UTF_16 = (b"\xff\xfe", b"\xfe\xff")  # byte order marks, as PowerShell 5 writes them into files
UTF_8_REMEDY = (
    "Save the JSON as a UTF-8 file and send it with: curl --data-binary @file.json. In PowerShell, first run: "
    "chcp 65001; $OutputEncoding = [Console]::OutputEncoding = [Text.Encoding]::UTF8"
)


@dataclass(frozen=True)
class ChatRequest:
    """A valid request. `requested_model` is the name that the client sent, `model` the one that answers."""

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
        """The gateway's key of the persona of the model."""
        return MODELS[self.model]

    @property
    def replaced_parts(self) -> int:
        """The number of images and other parts that a placeholder replaces."""
        return sum(message.replaced for message in self.messages)


def parse(data: bytes, *, strict_model: bool = False, ignore_unsupported: bool = False) -> ChatRequest:
    """Parse a body. Raises ApiError: 400, or 404 for an unknown model if `strict_model`; `param` names the field."""
    try:
        body = strict_json(data)
    except UnicodeDecodeError as error:
        raise _not_utf8(data, error) from None
    except ValueError as error:
        raise api_error("invalid_json", f"The request body is not valid JSON: {why_not_json(error)}.") from None
    if not isinstance(body, dict):
        raise api_error("invalid_json", "The request body must be a JSON object.")
    _check_types(body)
    unsupported = _unsupported(body)
    if unsupported and not ignore_unsupported:
        name, code, message = unsupported[0]
        raise api_error(code, message, name)
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


def _not_utf8(data: bytes, error: UnicodeDecodeError) -> ApiError:
    """400 with the remedy for Windows, whose tools send the code page of the system (CP949)."""
    where = "but UTF-16" if data.startswith(UTF_16) else f"(byte 0x{data[error.start]:02X} at {error.start})"
    return api_error("invalid_json", f"The request body is not UTF-8 {where}. {UTF_8_REMEDY}")


def _check_types(body: dict[str, Any]) -> None:
    for name, value in body.items():
        if name in FIELDS and value is not None and not FIELDS[name].allows(value):
            raise invalid(name, FIELDS[name].expected)
    usage = (body.get("stream_options") or {}).get("include_usage")
    if usage is not None and not isinstance(usage, bool):
        raise invalid("stream_options.include_usage", "true or false")
    if body.get("n") is not None and not is_whole(body["n"], 1, MAX_CHOICES):
        raise api_error("unsupported_value", "'n' must be 1.", "n")


def _unsupported(body: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The fields that the gateway does not support: name, error code, and message with the remedy."""
    found = [
        (name, "unsupported_parameter", f"The gateway cannot call tools. Use {name} 'auto' or 'none', {REMEDY}.")
        for name in ("tool_choice", "function_call")
        if _requires_a_call(body.get(name))
    ]
    if (body.get("n") or 1) != 1:
        found.append(("n", "unsupported_value", f"The gateway gives one answer. Use n = 1, {REMEDY}."))
    form = body.get("response_format")
    if form is not None and form.get("type") != "text":
        text = "The gateway answers in free text. Leave out 'response_format' and ask for JSON in the prompt"
        found.append(("response_format", "unsupported_value", f"{text}, {REMEDY}."))
    return found


def _requires_a_call(choice: object) -> bool:
    """Whether the answer must be a tool call. If not, the protocol allows text, although the request has tools."""
    if isinstance(choice, dict) and isinstance(choice.get("allowed_tools"), dict):
        choice = choice["allowed_tools"].get("mode")
    return choice not in (None, "auto", "none")


def _stops(value: object) -> tuple[str, ...]:
    """The stop strings. Clients send null, an empty string or an empty list for none."""
    if value in (None, "", []):
        return ()
    stops = [value] if isinstance(value, str) else value
    if not isinstance(stops, list) or len(stops) > MAX_STOPS:
        raise invalid("stop", f"a string or 1 to {MAX_STOPS} strings")
    if not all(isinstance(stop, str) and stop for stop in stops):
        raise invalid("stop", f"a string or 1 to {MAX_STOPS} strings, none of them empty")
    return tuple(stops)
