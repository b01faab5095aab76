"""Unexpected fields in the answers of both channels, with real sockets: the text arrives, dropped fields are named."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from lumen_conformance.gateway import replies
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_proxy.logs.worker_log import WorkerLog
from tests.unit.proxy.running_proxy import run_proxy
from tests.unit.proxy.test_proxy_streams import metadata

if TYPE_CHECKING:
    from pathlib import Path

    from lumen_conformance.gateway.exchange import Reply
    from lumen_conformance.http.capture import Capture

TEXT = "안녕하세요"
NULL = "NaN, Infinity or a number that is too large: read as null"


def zipped(body: object) -> Reply:
    """A compressed answer, although the request has `identity`."""
    return replies.respond_with(gzip.compress(replies.encoded(body)), headers=(("Content-Encoding", "gzip"),))


def without(name: str) -> dict[str, object]:
    """A valid answer without one field."""
    return {field: value for field, value in replies.lumen(TEXT).items() if field != name}


# The answer of the gateway, the text of the proxy, and the warnings. test_wire_lumen.py has each field.
GATEWAY: dict[str, tuple[Reply, str, list[str]]] = {
    "success-missing": (replies.respond_with(without("success")), TEXT, []),
    "nan": (replies.answer_with(TEXT, score=float("nan")), TEXT, [NULL]),
    "surrogate": (
        replies.respond_with(json.dumps(replies.lumen("a\ud800b")).encode()),
        "a\ufffdb",
        ["response: lone surrogate replaced by U+FFFD"],
    ),
    "everything": (
        zipped(replies.lumen(TEXT, persona=1, sources=1, timestamp=1)),
        TEXT,
        [
            "persona: expected an object with a name",
            "sources: expected a list of strings",
            "timestamp: expected a string",
        ],
    ),
}
CLOUD: dict[str, tuple[Reply, str, list[str]]] = {
    "first-form": (
        replies.respond_with({"response": TEXT, "model": 1, "timestamp": 1}),
        TEXT,
        ["timestamp: expected a string"],
    ),
    "second-form": (
        replies.respond_with({"content": TEXT, "persona_used": {"name": "x"}, "confidence": float("nan")}),
        TEXT,
        [NULL, "persona_used: expected a string"],
    ),
}


def text_of(capture: Capture) -> str:
    """The text of an answer, plain or streamed, whose JSON is strict."""
    if "event-stream" not in (capture.header("content-type") or ""):
        return str(strict(capture.body)["choices"][0]["message"]["content"])
    events = [strict(event[6:]) for event in capture.body.split(b"\n\n") if event.startswith(b"data: {")]
    return "".join(choice["delta"].get("content", "") for event in events for choice in event["choices"])


def strict(data: bytes) -> Any:  # noqa: ANN401 -- any JSON
    """Parse JSON without NaN and Infinity."""

    def refuse(constant: str) -> object:
        raise AssertionError(f"{constant} reached the client")

    return json.loads(data, parse_constant=refuse)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("name", GATEWAY)
def test_drift_of_the_gateway(gateway: ScriptedGateway, name: str, stream: bool, tmp_path: Path) -> None:  # noqa: FBT001 -- a row
    """The answer and the log name the dropped fields, and the breaker counts no failure."""
    reply, text, warnings = GATEWAY[name]
    gateway.standing = reply
    with run_proxy(gateway.url, LUMEN_BREAKER_FAILURES="1") as served:
        log = served.proxy.log = WorkerLog(tmp_path / "log", max_bytes=10_000, keep=1, days=1, level="info")
        for _ in range(2):
            capture = served.chat(stream=stream)
            assert capture.status == 200, capture.text
            assert text_of(capture) == text
            assert metadata(capture)["gateway_warnings"] == warnings
    log.flush()
    lines = [json.loads(line) for line in (tmp_path / "log").read_text("utf-8").splitlines()]
    assert [line.get("gateway_warnings") for line in lines] == ["; ".join(warnings) or None] * 2


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("name", CLOUD)
def test_drift_of_cloud_ai(gateway: ScriptedGateway, name: str, stream: bool) -> None:  # noqa: FBT001 -- a row
    """The same for Cloud AI, when the gateway cannot be reached."""
    reply, text, warnings = CLOUD[name]
    gateway.down()
    with (
        ScriptedGateway(reply) as cloud,
        run_proxy(
            gateway.url, CLOUD_AI_URL=cloud.url + "/chat", LUMEN_FALLBACK="cloud_ai", LUMEN_BREAKER_FAILURES="1"
        ) as served,
    ):
        capture = served.chat(stream=stream)
    assert capture.status == 200, capture.text
    assert text_of(capture) == text
    details = metadata(capture)
    assert (details["channel"], details["gateway_warnings"]) == ("cloud_ai", warnings)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_a_response_that_is_missing_is_named(gateway: ScriptedGateway, stream: bool) -> None:  # noqa: FBT001 -- a row
    """The call fails without the one required field, and the message names it."""
    gateway.script(replies.respond_with(without("response")))
    with run_proxy(gateway.url) as served:
        error = json.loads(served.chat(stream=stream).body)["error"]
    assert error["code"] == "gateway_invalid_response"
    assert error["message"] == "Invalid response from the gateway: field `response` is missing or not a string."


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_a_small_body_that_decompresses_to_a_large_one(gateway: ScriptedGateway, stream: bool) -> None:  # noqa: FBT001 -- a row
    """LUMEN_MAX_RESPONSE_BYTES limits the decompressed size."""
    body = replies.lumen("x" * 5000)
    with run_proxy(gateway.url, LUMEN_MAX_RESPONSE_BYTES="4096") as served:
        gateway.script(zipped(body))
        error = json.loads(served.chat(stream=stream).body)["error"]
        assert error["code"] == "gateway_invalid_response"
        assert "larger than 4096 bytes" in error["message"]
        gateway.script(zipped(replies.lumen("x" * 3000)))
        assert served.chat(stream=stream).status == 200
