"""Request bodies of Windows shells and of clients that compress."""

from __future__ import annotations

import gzip
import json

import pytest

from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http import client
from lumen_conformance.http.capture import Capture
from lumen_proxy.errors import ApiError
from lumen_proxy.wire.chat_request import parse
from tests.unit.proxy.running_proxy import USER, run_proxy

QUESTION = json.dumps({"messages": [USER]}, ensure_ascii=False)
JSON = ("Content-Type", "application/json")


def post(gateway: ScriptedGateway, body: bytes, *headers: tuple[str, str]) -> Capture:
    """Send the bytes as the body of a chat request."""
    with run_proxy(gateway.url) as served:
        return client.call(served.url, "POST", "/v1/chat/completions", body=body, headers=[JSON, *headers])


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (QUESTION.encode("cp949"), "(byte 0xBE at 43)"),
        (QUESTION.encode("utf-16"), "but UTF-16"),
        (b"\xff", "(byte 0xFF at 0)"),
    ],
    ids=["cp949", "utf-16", "one-byte"],
)
def test_not_utf_8(gateway: ScriptedGateway, body: bytes, where: str) -> None:
    """A body in the code page of Windows is a 400 with the encoding, and the remedy for curl and PowerShell."""
    capture = post(gateway, body)
    error = json.loads(capture.body)["error"]
    assert (capture.status, error["code"]) == (400, "invalid_json")
    assert error["message"].startswith(f"The request body is not UTF-8 {where}. ")
    for remedy in ("--data-binary @file.json", "chcp 65001", "[Console]::OutputEncoding"):
        assert remedy in error["message"]
    assert gateway.chats == ()


WHY_NOT = {
    b'{"secret": 1, "secret": 2}': "an object has the same key twice",
    b'{"secret": 1e400}': "a number is too large",
    b'{"secret": ' + b"9" * 5000 + b"}": "a number is too large",
    b'{"secret": NaN}': "NaN is not JSON",
    b'{"secret": -Infinity}': "-Infinity is not JSON",
    b"[" * 101 + b"]" * 101: "nested deeper than 100",
    b"[" * 60_000: "nested deeper than 100",
    b"": "the error is in line 1, column 1",
    b'{"a": 1,\n secret}': "the error is in line 2, column 2",
}


@pytest.mark.parametrize(("data", "why"), WHY_NOT.items(), ids=[*map(str, range(len(WHY_NOT)))])
def test_why_it_is_not_json(data: bytes, why: str) -> None:
    """The message has the reason or the position, and no text of the body."""
    with pytest.raises(ApiError) as caught:
        parse(data)
    assert caught.value.message == f"The request body is not valid JSON: {why}."


@pytest.mark.parametrize("coding", ["gzip", "zstd", "br", "deflate", "identity, gzip", "x" * 1000])
def test_compressed(gateway: ScriptedGateway, coding: str) -> None:
    """A compressed body is a 415 with the name of the content coding."""
    capture = post(gateway, gzip.compress(QUESTION.encode()), ("Content-Encoding", coding))
    error = json.loads(capture.body)["error"]
    assert (capture.status, error["code"]) == (415, "unsupported_media_type")
    assert f"content coding '{coding[:32]}'" in error["message"]
    assert capture.header("accept-encoding") == "identity"
    assert gateway.chats == ()


@pytest.mark.parametrize("coding", ["", "identity", "Identity "])
def test_not_compressed(gateway: ScriptedGateway, coding: str) -> None:
    """A body with the coding `identity` is accepted."""
    assert post(gateway, QUESTION.encode(), ("Content-Encoding", coding)).status == 200


def test_byte_order_mark(gateway: ScriptedGateway) -> None:
    """A UTF-8 file with a byte order mark, as Windows editors save it, is accepted."""
    assert post(gateway, QUESTION.encode("utf-8-sig")).status == 200


def test_json_ends_with_a_newline(gateway: ScriptedGateway) -> None:
    """Each JSON body ends with one newline, so that a shell prompt after curl starts a new line."""
    with run_proxy(gateway.url) as served:
        answers = [
            served.chat(),
            served.chat(temperature=3),
            served.get("/health"),
            served.get("/v1/models"),
            served.get("/nothing"),
            client.send(served.url, b"no HTTP\r\n\r\n"),
        ]
    assert all(each.body.endswith(b"}\n") for each in answers)
