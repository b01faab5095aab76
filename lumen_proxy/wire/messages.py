"""Parse the messages of a chat request: roles, texts, and placeholders for parts that are not text."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from lumen_proxy.wire.api_errors import api_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lumen_proxy.errors import ApiError

ROLES = ("system", "developer", "user", "assistant", "tool", "function")
INSTRUCTIONS = ("system", "developer")
PROMPTS = ("user", *INSTRUCTIONS)  # at least one text of these roles must not be blank
MAY_BE_EMPTY = ("assistant", "tool", "function")  # an empty list: a call without text, a tool without output
LABELS = ("name", "tool_call_id")
USED = {"role", "content", "refusal", "tool_calls", "function_call", *LABELS}
TEXTS = ("text", "input_text", "output_text")  # the last two belong to the Responses API; vLLM accepts them, too
KINDS = {
    "image_url": "image",
    "image": "image",
    "input_image": "image",
    "input_audio": "audio",
    "audio": "audio",
    "audio_url": "audio",
    "file": "file",
    "input_file": "file",
    "video": "video",
    "video_url": "video",
}
REMEDY = "Send text parts only, or set LUMEN_UNSUPPORTED=ignore on the proxy to replace other parts by a placeholder"


@dataclass(frozen=True)
class Message:
    """One message. `label` is its name or the id of its tool call; a placeholder replaced `replaced` parts."""

    role: str
    text: str
    label: str = ""
    replaced: int = 0


def invalid(param: str, expected: str) -> ApiError:
    """400 for a field with an unexpected value."""
    return api_error("invalid_value", f"'{param}' must be {expected}.", param)


def read_messages(value: object, *, replace_all: bool) -> tuple[Message, ...]:
    """Parse all messages. Raises ApiError (400); `param` names the message.

    A placeholder replaces images and other parts that the gateway does not accept: clients repeat them in each later
    request, so a refusal would end the conversation. In the last user message they are refused, unless `replace_all`.
    """
    if not isinstance(value, list) or not value:
        raise invalid("messages", "a list of at least one message")
    strict_index = None if replace_all else _last_user_message(value)
    messages = tuple(_message(message, f"messages[{n}]", strict=n == strict_index) for n, message in enumerate(value))
    if not any(message.role in PROMPTS and message.text.strip() for message in messages):
        raise invalid("messages", "a conversation with at least one text of a user or a system that is not blank")
    if messages[-1].role == "assistant":
        expected = "'user', 'tool', 'system' or 'developer' in the last message: the gateway cannot continue an answer"
        raise invalid(f"messages[{len(messages) - 1}].role", expected)
    return messages


def unused_fields(messages: list[dict[str, Any]]) -> set[str]:
    """The fields of messages that are not sent. The name of a lone message is not sent either."""
    used = USED if len(messages) > 1 else USED - set(LABELS)
    return {f"messages[].{name}" for message in messages for name in message if name not in used and message[name]}


def _last_user_message(messages: Sequence[object]) -> int | None:
    users = (n for n, message in enumerate(messages) if isinstance(message, dict) and message.get("role") == "user")
    return max(users, default=None)


def _message(value: object, where: str, *, strict: bool) -> Message:
    if not isinstance(value, dict):
        raise invalid(where, "an object with role and content")
    role = value.get("role")
    if not isinstance(role, str) or role not in ROLES:
        raise invalid(f"{where}.role", "one of: " + ", ".join(ROLES))
    text, replaced = _content(value.get("content"), f"{where}.content", role, strict=strict)
    refusal, *labels = (_optional(value, name, where) for name in ("refusal", *LABELS))
    calls = value.get("tool_calls") or value.get("function_call")
    called = json.dumps(calls, ensure_ascii=False) if calls else ""  # calls are part of the conversation
    return Message(role, "\n".join(filter(None, (text, refusal, called))), " ".join(filter(None, labels)), replaced)


def _optional(message: dict[str, Any], name: str, where: str) -> str:
    value = message.get(name)
    if value is not None and not isinstance(value, str):
        raise invalid(f"{where}.{name}", "a string")
    return value or ""


class _Part(NamedTuple):
    text: str
    replaced: bool = False


def _content(value: object, where: str, role: str, *, strict: bool) -> tuple[str, int]:
    if isinstance(value, str):
        return value, 0
    if (value is None and role == "assistant") or (value == [] and role in MAY_BE_EMPTY):
        return "", 0
    if not isinstance(value, list) or not value:
        raise invalid(where, "a string or a list of text parts")
    parts = [_part(part, f"{where}[{index}]", strict=strict) for index, part in enumerate(value)]
    return "\n".join(part.text for part in parts), sum(part.replaced for part in parts)


def _part(part: object, where: str, *, strict: bool) -> _Part:
    if not isinstance(part, dict) or not isinstance(part.get("type"), str):
        raise invalid(where, "an object with a type")
    if part["type"] == "refusal" and isinstance(part.get("refusal"), str):
        return _Part(part["refusal"])
    if part["type"] in TEXTS:
        if not isinstance(part.get("text"), str):
            raise invalid(f"{where}.text", "a string")
        return _Part(part["text"])
    if strict:
        raise api_error("unsupported_value", f"'{where}': the gateway takes text only. {REMEDY}.", where)
    return _Part(f"[{KINDS.get(part['type'], 'attachment')}]", replaced=True)
