"""A stream asks the gateway what a plain question asks it, and tells what a plain answer tells."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from lumen_conformance.gateway import replies
from lumen_conformance.http import client
from tests.unit.proxy.serving import USER, serving

if TYPE_CHECKING:
    from lumen_conformance.gateway.server import ScriptedGateway
    from lumen_conformance.http.capture import Capture

DURATIONS = {"response_time_ms", "overhead_ms"}
CONVERSATION = [
    {"role": "system", "content": "짧게"},
    {**USER, "name": "kim"},
    {"role": "assistant", "content": "네"},
    {"role": "user", "content": "x" * 50},
]
ASKED: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "lone-message": ({}, {}),
    "persona": ({}, {"model": "lumen-lua"}),
    "unknown-model": ({}, {"model": "gpt-x"}),
    "tag-and-prefix": ({}, {"model": "openai/lumen-elo:latest"}),
    "user": ({}, {"user": "u-1"}),
    "only-instructions": ({}, {"messages": [{"role": "system", "content": "인사해"}]}),
    "instructions-last": ({}, {"messages": [USER, {"role": "developer", "content": "짧게"}]}),
    "old-image": ({}, {"messages": [{"role": "user", "content": [{"type": "image_url"}]}, USER]}),
    "tools": ({}, {"tools": [{}], "tool_choice": "auto"}),
    "no-limit": ({}, {"max_tokens": -1}),
    "conversation": ({}, {"messages": CONVERSATION}),
    "conversation-too-long": ({"LUMEN_MAX_MESSAGE_CHARS": "210"}, {"messages": CONVERSATION}),
    "last-question-alone": ({"LUMEN_HISTORY": "last"}, {"messages": CONVERSATION}),
    "ignored": ({}, {"temperature": 1, "max_tokens": 9, "max_completion_tokens": 9, "seed": 1, "foo": [1]}),
}


def metadata(got: Capture) -> dict[str, Any]:
    """What an answer tells about itself, with its finish if it is a stream."""
    if got.header("content-type") == "application/json; charset=utf-8":
        return dict(got.json()["lumen_metadata"])
    chunks = [json.loads(event[6:]) for event in got.body.split(b"\n\n") if event.startswith(b"data: {")]
    (finish,) = [chunk for chunk in chunks if "lumen_metadata" in chunk]
    assert finish["choices"][0]["finish_reason"] == "stop"
    return dict(finish["lumen_metadata"])


@pytest.mark.parametrize("row", ASKED)
def test_a_stream_is_as_a_plain_answer(gateway: ScriptedGateway, row: str) -> None:
    """The gateway is asked the same to the last byte, and the answer tells the same, durations apart."""
    env, body = ASKED[row]
    gateway.standing = replies.answer_with("안녕")
    with serving(gateway.url, **env) as served:
        plain, streamed = (
            client.call(served.url, "POST", "/v1/chat/completions", json={"messages": [USER], **body, "stream": stream})
            for stream in (False, True)
        )
    first, second = gateway.chats
    assert first.body == second.body
    assert streamed.body.startswith(b"data: ")
    assert streamed.body.isascii()
    one, other = metadata(plain), metadata(streamed)
    assert {name: type(value) for name, value in one.items()} == {name: type(value) for name, value in other.items()}
    assert {**one, **dict.fromkeys(DURATIONS)} == {**other, **dict.fromkeys(DURATIONS)}
    assert one.keys() >= DURATIONS


def test_what_is_asked(gateway: ScriptedGateway) -> None:
    """The rows above make a difference: none asks, and tells, what another does."""
    seen = []
    for env, body in ASKED.values():
        with serving(gateway.url, **env) as served:
            got = client.call(served.url, "POST", "/v1/chat/completions", json={"messages": [USER], **body})
        told = {name: value for name, value in metadata(got).items() if name not in DURATIONS}
        seen.append((gateway.chats[-1].body, json.dumps(told)))
    assert len(set(seen)) == len(ASKED)
    assert json.loads(seen[list(ASKED).index("user")][0])["user_id"] == "u-1"
