"""A key and a sentence of a user go through a real proxy in every way, and are found nowhere afterwards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lumen_conformance.gateway import replies
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http import client
from lumen_conformance.http.capture import Capture
from lumen_conformance.targets.launch import Launcher

KEY, WRONG = "sk-canary-5b1f9c", "sk-canary-wrong-77aa"
SENTENCE = "카나리아 canary sentence 8d31"
SPELLINGS = [text.encode() for text in (KEY, WRONG, "canary sentence", "카나리아", r"\uce74\ub098\ub9ac\uc544")]
FAILURES = [
    replies.html, replies.reset_after_request, replies.respond_with({"error": SENTENCE}, 500),
    replies.respond_with({"error": SENTENCE}, 400), replies.answer_with(SENTENCE, success=False, error=SENTENCE),
    replies.respond_with({}, 429), replies.answer_with(""),
]  # fmt: skip
BODIES: list[dict[str, Any]] = [
    {"messages": [{"role": "user", "content": SENTENCE}], "user": SENTENCE},
    {"messages": [{"role": SENTENCE, "content": SENTENCE}]},
    {"messages": [{"role": "user", "content": SENTENCE}], "n": 2},
    {"messages": [{"role": "user", "content": SENTENCE}], "tool_choice": {"name": SENTENCE}},
]
DRIFT = [  # what is dropped is named in the log, but not quoted
    replies.answer_with("hi", persona=SENTENCE, sources=SENTENCE, timestamp=[SENTENCE]),
    replies.respond_with(
        json.dumps(replies.lumen("hi", **{SENTENCE: "\ud800", "persona": {"name": "\ud800"}})).encode()
    ),
]


def told(got: Capture) -> bytes:
    """Everything a client reads: headers and body."""
    headers = "\n".join(f"{name}: {value}" for name, value in got.headers)
    return headers.encode() + b"\n\n" + got.body


def found(where: bytes) -> list[bytes]:
    """The spellings that are in there."""
    return [spelling for spelling in SPELLINGS if spelling in where]


def test_the_canary_is_nowhere(launch: Launcher, gateway: ScriptedGateway, tmp_path: Path) -> None:
    """In no error, header, metric, health answer, log, journal or state file; answers alone have the sentence."""
    env = {"PROXY_API_KEY": KEY, "LUMEN_LOG_DIR": str(tmp_path / "log"), "LUMEN_STATE_DIR": str(tmp_path / "state")}
    proxy = launch(gateway=gateway, env={**env, "LUMEN_LOG_LEVEL": "debug"})
    bearer = ("Authorization", f"Bearer {KEY}")

    def ask(body: dict[str, Any], *headers: tuple[str, str]) -> Capture:
        return client.call(proxy.url, "POST", "/v1/chat/completions", json=body, headers=headers)

    answered, refused = [], []
    for stream in (False, True):
        answered.append(ask({**BODIES[0], "stream": stream}, bearer))
        refused += [ask({**body, "stream": stream}, bearer) for body in BODIES[1:]]
        refused.append(ask({**BODIES[0], "stream": stream}, ("Authorization", f"Bearer {WRONG}")))
        for reply in DRIFT:
            gateway.script(reply)
            answered.append(ask({**BODIES[0], "stream": stream}, bearer))
        for reply in FAILURES:
            gateway.script(reply)
            refused.append(ask({**BODIES[0], "stream": stream}, bearer))
    pages = [client.call(proxy.url, "GET", path, headers=[bearer]) for path in ("/metrics", "/health", "/ready", "/")]
    state = [path.read_bytes() for path in (tmp_path / "state").rglob("*") if path.is_file()]
    proxy.end()  # its last lines are written then
    logs = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert [got.status for got in answered] == [200] * 2 * (1 + len(DRIFT))
    assert all(KEY.encode() not in told(got) for got in answered)
    assert all((got.status or 0) >= 400 for got in refused)
    assert state
    assert any(b"/chat/completions" in log for log in logs)  # it was logged at all
    assert any(b"sources: expected a list of strings" in log for log in logs)
    everything = [*map(told, refused), *map(told, pages), *state, *logs]
    assert [found(each) for each in everything if found(each)] == []
