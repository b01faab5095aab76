"""What a proxy may change in messages and options, and what is a loss."""

from __future__ import annotations

from typing import Any

import pytest

from lumen_conformance.contract.conversations import CALL, assistant, user
from lumen_conformance.contract.request_options import FREE_OPTIONS, NAMED, OPTIONS, TOOLS, arrives
from lumen_conformance.contract.turns import added_instructions, same_turns

SYSTEM, LATER = {"role": "system", "content": "be brief"}, {"role": "system", "content": "be polite"}
OWN = {"role": "system", "content": "be kind"}
PICTURE = {"type": "image_url", "image_url": {"url": "data:,"}}
THREE = {"type": "text", "text": "three"}
SENT = [SYSTEM, user("one"), assistant(""), user("two"), LATER, user([THREE, PICTURE])]
FIRST, LAST = {"role": "developer", "content": "be brief\n\nbe polite"}, SENT[-1]


@pytest.mark.parametrize(
    ("found", "same"),
    [
        (SENT, True),
        ([FIRST, user("one\n\ntwo"), LAST], True),
        ([SYSTEM, user("one"), user("two"), LATER, LAST], True),
        (
            [SYSTEM, user("one two"), LATER, user([THREE, PICTURE | {"detail": "low"}])],
            True,
        ),
        ([LATER, SYSTEM, *SENT[1:4], LAST], False),
        ([SYSTEM, *SENT[1:4], LAST], False),
        ([*SENT[:5], user("three")], False),
        ([*SENT[:3], user("two", name="kim"), *SENT[4:]], False),
        ([user("one"), user("two"), SYSTEM, LATER, LAST], False),
        ([OWN, *SENT], True),
        ([*SENT, OWN], True),
        ([*SENT[:2], OWN, *SENT[2:]], True),
        ([{"role": "system", "content": "be kind\n\nbe brief"}, *SENT[1:]], True),
        ([OWN, *SENT[1:]], False),
        ([*SENT, user("be kind")], False),
        ("no list", False),
    ],
)
def test_turns(found: object, same: bool) -> None:  # noqa: FBT001 -- a row
    """Messages may be joined, and instructions added or put first; nothing else is lost, added or moved."""
    assert same_turns(found, SENT) is same


@pytest.mark.parametrize(
    ("arguments", "more", "same"),
    [
        ('{"city":"Seoul"}', {}, True),
        ('{"city": "Se\\u006ful"}', {"index": 0}, True),
        ('{"city": "Busan"}', {}, False),
        ('{"city": "Seoul", "unit": "C"}', {}, False),
        ('{"city": "Seoul"', {}, False),
        ({"city": "Seoul"}, {}, False),
        (CALL["function"]["arguments"], {"id": "call_8"}, False),
    ],
)
def test_tool_calls(arguments: object, more: dict[str, object], same: bool) -> None:  # noqa: FBT001 -- a row
    """A tool call may have its arguments in another JSON, and more members; its id and arguments stay."""
    call = CALL | {"function": CALL["function"] | {"arguments": arguments}} | more
    assert same_turns([assistant(None, tool_calls=[call])], [assistant(None, tool_calls=[CALL])]) is same


@pytest.mark.parametrize(
    ("found", "added"),
    [
        (SENT, ""),
        ([FIRST, *SENT[1:4], LAST], ""),
        ([OWN, *SENT], "system: be kind; system: be brief; system: be polite"),
    ],
)
def test_added_instructions(found: object, added: str) -> None:
    """Instructions that were not sent are described with all others."""
    assert added_instructions(found, SENT) == added


@pytest.mark.parametrize(
    ("name", "received", "holds"),
    [
        ("temperature", {"temperature": 0.699999988079071}, True),
        ("temperature_zero", {"temperature": 0.0}, True),
        ("temperature_zero", {"temperature": False}, False),
        ("temperature_zero", {"temperature": 0.01}, False),
        ("temperature_zero", {}, False),
        ("max_tokens", {"max_completion_tokens": 16}, True),
        ("max_tokens", {"max_tokens": 4096}, False),
        ("stop_string", {"stop": ["<|end|>", "####"]}, True),
        ("stop_list", {"stop": "####"}, False),
        ("tools", {"tools": [{"type": "function", "function": {"name": "own"}}, *TOOLS]}, True),
        ("tools", {"tools": TOOLS[:1]}, False),
        ("tool_choice_none", {}, True),
        ("tool_choice_none", {"tools": TOOLS}, False),
        ("functions", {"tools": TOOLS}, True),
        ("function_call", {"tool_choice": NAMED}, True),
        ("logprobs_false", {"logprobs": 0}, False),
    ],
)
def test_options(name: str, received: dict[str, Any], holds: bool) -> None:  # noqa: FBT001 -- a row
    """An option may have a new name, a lower limit, or more entries; its value does not change."""
    assert arrives((OPTIONS | FREE_OPTIONS)[name], received) is holds
