"""The messages of a conversation as turns, to compare those that a gateway receives with those that were sent.

A proxy may send a developer message as a system message, join text parts with white space, join messages of one role
that follow each other, put instructions first, add instructions, write the arguments of a tool call in another way, and
leave out an assistant message without content: nothing is lost.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any, NamedTuple

from lumen_conformance.contract.option_values import includes
from lumen_conformance.schemas.descriptions import escape_invisible, format_value


class Turn(NamedTuple):
    """One message, or several of one role.

    ``who``    the role; of a tool message also the id of its call, of a named message also the name
    ``texts``  its text parts
    ``parts``  its other parts, such as images
    ``calls``  its tool calls
    """

    who: str
    texts: tuple[str, ...] = ()
    parts: tuple[Mapping[str, Any], ...] = ()
    calls: object = None

    def __str__(self) -> str:
        shown = [*map(escape_invisible, filter(None, self.texts)), *map(format_value, self.parts)]
        calls = f", calls {format_value(self.calls)}" if self.calls else ""
        return f"{self.who}: {' + '.join(shown) or '(no text)'}{calls}"


def turns(messages: object) -> list[Turn]:
    """The turns of a list of messages, one for each; entries that are no objects are left out."""
    found = [each for each in messages if isinstance(each, dict)] if isinstance(messages, list) else []
    return [_turn(each) for each in found]


def describe_turns(messages: object) -> str:
    """Describe messages, for example: ``system: be brief; user: hi``."""
    return "; ".join(map(str, turns(messages))) or "none"


def describe_lost(found: object, sent: object) -> str:
    """Describe the messages that did not arrive as they were sent; empty when only their order differs."""
    lost = [turn for turn in turns(sent) if not any(_is_same(each, turn) for each in turns(found))]
    return f"; missing: {'; '.join(map(str, lost))}" if lost else ""


def same_turns(found: object, sent: object) -> bool:
    """Whether the gateway received each turn that was sent, in the same order or with the instructions first.

    It may have received more instructions; `added_instructions` has them.
    """
    wanted = turns(sent)
    received = _joined_turns(turn for turn in turns(found) if not _is_added(turn, wanted))
    first = sorted(wanted, key=lambda turn: turn.who != "system")  # stable: the order of the others stays
    return any(_are_same(received, _joined_turns(each)) for each in (wanted, first))


def added_instructions(found: object, sent: object) -> str:
    """Describe the instructions that the gateway received, if they are others than those that were sent."""
    received, wanted = ([turn for turn in turns(messages) if _is_instruction(turn)] for messages in (found, sent))
    return "" if _split_texts(received) == _split_texts(wanted) else "; ".join(map(str, received))


def texts_of(content: object) -> tuple[str, ...]:
    """The text parts of a content."""
    parts = content if isinstance(content, list) else [{"text": content}]
    return tuple(str(part.get("text") or "") for part in parts if isinstance(part, dict) and not _is_other(part))


def _split_texts(given: Iterable[Turn]) -> list[str]:
    return " ".join(text for turn in given for text in turn.texts).split()


def _is_instruction(turn: Turn) -> bool:
    return turn.who.partition(" ")[0] == "system"


def _is_added(turn: Turn, sent: Iterable[Turn]) -> bool:
    """Whether instructions have no text of those that were sent."""
    known = (text for each in sent if _is_instruction(each) for text in each.texts)
    return _is_instruction(turn) and not any(text in " ".join(turn.texts) for text in known)


def _turn(message: Mapping[str, Any]) -> Turn:
    content = message.get("content")
    others = tuple(part for part in content if _is_other(part)) if isinstance(content, list) else ()
    return Turn(_who(message), texts_of(content), others, message.get("tool_calls") or None)


def _is_other(part: object) -> bool:
    return isinstance(part, dict) and part.get("type", "text") != "text"


def _who(message: Mapping[str, Any]) -> str:
    role = str(message.get("role"))
    name = f" {message['name']}" if message.get("name") else ""
    return {"developer": "system", "tool": f"tool {message.get('tool_call_id')}"}.get(role, role + name)


def _joined_turns(given: Iterable[Turn]) -> list[Turn]:
    """The turns without empty ones of the assistant; those of one role that follow each other are joined."""
    kept = [turn for turn in given if turn.who != "assistant" or any(turn.texts) or turn.parts or turn.calls]
    groups = (list(group) for _, group in groupby(kept, key=lambda turn: turn.who))
    return [joined for group in groups for joined in ([_join(group)] if _are_plain(group) else group)]


def _are_plain(group: list[Turn]) -> bool:
    return not any(turn.calls for turn in group)


def _join(group: list[Turn]) -> Turn:
    texts = tuple(text for turn in group for text in turn.texts)
    return Turn(group[0].who, texts, tuple(part for turn in group for part in turn.parts))


def _are_same(found: list[Turn], sent: list[Turn]) -> bool:
    pairs = zip(found, sent, strict=False)
    return len(found) == len(sent) and all(_is_same(one, other) for one, other in pairs)


def _is_same(found: Turn, sent: Turn) -> bool:
    text = r"\s*".join(map(re.escape, sent.texts))
    compare = re.search if _is_instruction(sent) else re.fullmatch
    same_text = found.texts == sent.texts or compare(text, "".join(found.texts)) is not None
    same_calls = includes(_normalized(found.calls), _normalized(sent.calls))
    return same_text and found.who == sent.who and same_calls and includes([*found.parts], [*sent.parts])


def _normalized(calls: object) -> object:
    """Tool calls with the JSON of their arguments in one form; calls that have no such arguments as they are."""
    try:
        return [each | {"function": each["function"] | {"arguments": _rewritten(each)}} for each in calls]  # type: ignore[attr-defined]
    except (TypeError, LookupError, ValueError):
        return calls


def _rewritten(call: Mapping[str, Any]) -> str:
    return json.dumps(json.loads(call["function"]["arguments"]), sort_keys=True)
