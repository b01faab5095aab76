"""A streamed request sends the gateway the same as a plain one, and its answer has the same metadata."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from lumen_conformance.gateway import replies
from lumen_conformance.http import client
from tests.unit.proxy.running_proxy import USER, run_proxy

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


def metadata(capture: Capture) -> dict[str, Any]:
    """The metadata of an answer, and the finish of a stream."""
    if capture.header("content-type") == "application/json; charset=utf-8":
        return dict(capture.json()["lumen_metadata"])
    chunks = [json.loads(event[6:]) for event in capture.body.split(b"\n\n") if event.startswith(b"data: {")]
    (finish,) = [chunk for chunk in chunks if "lumen_metadata" in chunk]
    assert finish["choices"][0]["finish_reason"] == "stop"
    return dict(finish["lumen_metadata"])


@pytest.mark.parametrize("row", ASKED)
def test_a_stream_is_as_a_plain_answer(gateway: ScriptedGateway, row: str) -> None:
    """The bytes to the gateway and the metadata are equal, except durations."""
    env, body = ASKED[row]
    gateway.standing = replies.answer_with("안녕")
    with run_proxy(gateway.url, **env) as served:
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
