"""The assertions of contract tests fail with expected and found, and raise nothing else for unusual responses."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import pytest

from lumen_conformance.contract import expectations
from lumen_conformance.http.capture import Capture
from lumen_conformance.registry.refutation import NotJudged, Refuted
from tests.fixtures.repository import ROOT

CONTRACT = ROOT / "tests" / "contract"
CHAT = b"POST /v1/chat/completions HTTP/1.1\r\n\r\n"
STREAM = CHAT + b'{"stream": true}'


def response(body: bytes = b"", status: int | None = 200, request: bytes = CHAT, **headers: str) -> Capture:
    """A captured response."""
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Capture("http://127.0.0.1:1/x", request, status, named, body=body, ended="complete" if status else "reset")


def answer(text: str) -> Capture:
    """The capture of a plain answer with this text."""
    return response(b'{"choices": [{"message": {"content": "%s"}}]}' % text.encode())


def refuted(expect: Callable[[], None]) -> tuple[str, str]:
    """The texts of expected and found of a failure."""
    with pytest.raises(Refuted) as error:
        expect()
    return error.value.failure.expected, error.value.failure.found


NOT_FOUND = response(b'{"error": {"message": "gone", "code": null}}', 404)
ROWS: dict[str, tuple[Callable[[], None], str, str]] = {
    "status": (
        lambda: expectations.expect_status(response(status=500), 404, 405),
        "status 404 or 405",
        "status 500, complete",
    ),
    "no-response": (
        lambda: expectations.expect_client_error(response(status=None)),
        "a status from 400 to 499",
        "no response: reset",
    ),
    "a-host-that-is-refused": (
        lambda: expectations.expect_text(response(status=400), "hi"),
        "status 200 and the text 'hi'",
        "status 400, complete, no text",
    ),
    "another-text": (
        lambda: expectations.expect_text(answer("abd"), "abc"),
        "status 200 and the text 'abc'",
        "status 200, complete, the text 'abd'",
    ),
    "another-long-text": (
        lambda: expectations.expect_text(answer("x" * 99 + "y"), "x" * 101),
        f"status 200 and a text of 101 characters, with {'x' * 22!r} around character 99",
        f"a text of 100 characters, with {'x' * 20 + 'y'!r}",
    ),
    "a-text-that-looks-the-same": (
        lambda: expectations.expect_text(answer("\u1100\u1161"), "\uac00"),
        f"status 200 and the text {chr(0xAC00)!r}",
        "status 200, complete, the text '\u1100\u1161', which looks the same but has U+1100 at character 0, not U+AC00",
    ),
    "an-empty-value": (
        lambda: expectations.expect_equal({"a": None, "b": ["c\u2028"]}, None, "metadata"),
        "metadata: null",
        'metadata: {"a": null, "b": ["c\\u2028"]}',
    ),
    "a-body-of-another-shape": (
        lambda: expectations.expect_value_schema(
            "openai-model-list", {"data": [{"id": n} for n in range(5)]}, "a list"
        ),
        "a list: id: a string",
        "id is 0 at $.data[0].id; id is 1 at $.data[1].id; id is 2 at $.data[2].id; and 2 more",
    ),
    "error": (
        lambda: expectations.expect_error(NOT_FOUND, 404, code="model_not_found"),
        "status 404 and an error with code 'model_not_found'",
        'status 404, complete, the error {"message": "gone", "code": null}',
    ),
    "an-answer-for-an-error": (
        lambda: expectations.expect_failure(answer("hi")),
        "a status from 400 to 599 and no text of the assistant",
        "status 200, complete, the text 'hi'",
    ),
    "no-header": (
        lambda: expectations.expect_header_tokens(response(status=405), "Allow", "POST"),
        "the header Allow with POST",
        "no header Allow (status 405)",
    ),
    "other-words-in-a-header": (
        lambda: expectations.expect_header_tokens(response(status=405, allow="GET, HEAD"), "Allow", "POST"),
        "the header Allow with POST",
        "Allow: GET, HEAD (status 405)",
    ),
    "a-header-that-must-not-be-there": (
        lambda: expectations.expect_header(response(vary="Origin"), "Vary"),
        "no header Vary",
        "Vary: Origin (status 200)",
    ),
    "calls": (
        lambda: expectations.expect_one_call((), response(status=400)),
        "exactly one request to the gateway, POST",
        "none; status 400, complete",
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_expected_and_found(name: str) -> None:
    """Expected has the claim, found describes the response."""
    expect, expected, found = ROWS[name]
    assert refuted(expect) == (expected, found)


@pytest.mark.parametrize("status", [401, 404, 408, 429])
def test_other_errors_are_no_refusals(status: int) -> None:
    """An error about the key, the path or the moment decides nothing about the request."""
    with pytest.raises(NotJudged, match=f"neither an answer nor a refusal .*: status {status}"):
        expectations.need_known_refusal(response(status=status), "H4-max-tokens")


@pytest.mark.parametrize("status", [200, 400, 403, 413, 415, 422, 500])
def test_answers_and_refusals_are_judged(status: int) -> None:
    """An answer, a refusal and a failure of the server are left to the check."""
    expectations.need_known_refusal(response(status=status))


ODD = [b"", b"null", b"[]", b"[1]", b"1", b'"text"', b"{", b"\xff", b'{"error": 1}', b'{"choices": 1}',
       b'{"choices": [1]}', b'{"choices": [{"message": 1, "delta": 1}]}', b"data: {", b"data: [1]\n\n",
       b'data: {"choices": [{"delta": {"content": 1}}]}\n\n', b"[" * 10_000]  # fmt: skip
CLAIMS: list[Callable[[Capture], None]] = [
    lambda capture: expectations.expect_status(capture, 201),
    lambda capture: expectations.expect_text(capture, "hi"),
    lambda capture: expectations.expect_error(capture, 404, kind="a", code="b"),
    lambda capture: expectations.expect_schema(capture, "openai-model-list", "a list of models"),
]


@pytest.mark.parametrize("request_bytes", [CHAT, STREAM], ids=["plain", "stream"])
@pytest.mark.parametrize("body", ODD, ids=lambda body: repr(body[:20]))
def test_odd_responses(body: bytes, request_bytes: bytes) -> None:
    """For any response a failed assertion raises `Refuted`, and nothing else."""
    for status in (None, 200, 404):
        for claim in CLAIMS:
            expected, found = refuted(lambda c=claim, s=status: c(response(body, s, request_bytes)))  # type: ignore[misc]
            assert expected
            assert found


@pytest.mark.parametrize("path", sorted(CONTRACT.glob("test_*.py")), ids=lambda path: path.stem)
def test_no_bare_assertion(path: Path) -> None:
    """A contract test has no assert statement except for types: its failure would have no expected and found."""
    found = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Assert)]
    assert [ast.unparse(node) for node in found if "isinstance(" not in ast.unparse(node.test)] == []
