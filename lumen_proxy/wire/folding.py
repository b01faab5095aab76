"""Fold a conversation into the one message that the gateway accepts.

Sections begin with a mark that contains a tag. The tag is a hash of the conversation and occurs in none of its texts,
so no text can imitate the beginning of a section.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, NamedTuple

from lumen_proxy.wire.api_errors import api_error
from lumen_proxy.wire.messages import INSTRUCTIONS, ROLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lumen_proxy.wire.messages import Message

TAG_CHARS = 12


class Folded(NamedTuple):
    """The text to send, and the number of messages that were dropped."""

    text: str
    dropped: int


def fold(messages: Sequence[Message], *, max_chars: int, history: str = "fold") -> Folded:
    """Fold the messages into sections: instructions, turns, last message. A lone message is sent without a section.

    Instructions without any other text have no sections either. If the text is longer than `max_chars` (code points),
    the oldest turns are dropped. Raises ApiError context_length_exceeded if it is too long without any turn.
    `history="last"` sends the last user text only, or the instructions if there is none.
    """
    instruction_texts = _texts(messages, INSTRUCTIONS)
    if history == "last":
        texts = _texts(messages, ("user",))[-1:] or instruction_texts
        return Folded(_fitting(_joined(texts), max_chars), len(messages) - len(texts))
    if len(messages) == 1 or instruction_texts == _texts(messages, ROLES):
        return Folded(_fitting(_joined(_texts(messages, ROLES)), max_chars), 0)
    tag = _tag(messages)
    instructions = [_section(message, tag) for message in messages[:-1] if message.role in INSTRUCTIONS]
    turns = [_section(message, tag) for message in messages[:-1] if message.role not in INSTRUCTIONS]
    head = f"(A conversation. Only lines with the mark {tag} begin a part of it. Reply to the last part.)"
    fixed = [head, *instructions, _section(messages[-1], tag)]
    room = max_chars - len(_joined(fixed))
    kept = _newest(turns, room)
    text = _joined([head, *instructions, *kept, fixed[-1]])
    return Folded(_fitting(text, max_chars), len(turns) - len(kept))


def _texts(messages: Sequence[Message], roles: Sequence[str]) -> list[str]:
    """The texts of these roles, without blank ones."""
    return [message.text for message in messages if message.role in roles and message.text.strip()]


def _tag(messages: Sequence[Message]) -> str:
    seed = json.dumps([[message.role, message.text, message.label] for message in messages])
    while True:
        tag = hashlib.sha256(seed.encode()).hexdigest()[:TAG_CHARS]
        if not any(tag in message.text for message in messages):
            return tag
        seed += tag


def _section(message: Message, tag: str) -> str:
    label = f" {json.dumps(message.label, ensure_ascii=False)}" if message.label else ""
    return f"[{tag} {message.role}{label}]\n{message.text}"


def _joined(sections: Sequence[str]) -> str:
    return "\n\n".join(sections)


def _newest(turns: Sequence[str], room: int) -> Sequence[str]:
    for count, turn in enumerate(reversed(turns)):
        room -= len(turn) + len("\n\n")
        if room < 0:
            return turns[len(turns) - count :]
    return turns


def _fitting(text: str, max_chars: int) -> str:
    if len(text) > max_chars:
        raise api_error("context_length_exceeded", f"The gateway takes {max_chars} characters at most.", "messages")
    return text
