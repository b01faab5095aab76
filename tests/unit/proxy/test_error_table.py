"""The error table of `docs/behaviour.md`, row by row over a real socket, plain and streamed."""

from __future__ import annotations

import json

import pytest

from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http import client
from lumen_conformance.http.capture import Capture
from lumen_proxy.wire.api_errors import PROBLEMS
from tests.unit.proxy.behaviour import rows
from tests.unit.proxy.error_cases import CASES, PATIENCE_S, Case, staged
from tests.unit.proxy.serving import USER, Serving, serving

# Brought about elsewhere: what has no stream, what needs bytes that are no HTTP, and a bug of ours.
ELSEWHERE = {"not_found", "method_not_supported", "invalid_http", "headers_too_large", "unsupported_encoding"}
ELSEWHERE |= {"https_not_supported", "internal_error", "client_gone"}
TABLE = {row["code"]: row for row in rows("Errors")}


def ask(served: Serving, case: Case, *, stream: bool) -> Capture:
    """The request of a case."""
    body = json.dumps({"messages": [USER], "stream": stream, **case.asked}).encode()
    headers = case.headers
    if not any(name == "Content-Type" for name, _ in headers):
        headers = (*headers, ("Content-Type", "application/json"))
    return client.call(
        served.url, "POST", "/v1/chat/completions", body=body[:-1] if case.cut else body, headers=headers,
        timeout_s=PATIENCE_S,
    )  # fmt: skip


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("code", CASES)
def test_error(gateway: ScriptedGateway, code: str, stream: bool) -> None:  # noqa: FBT001 -- a row
    """Status, type, code and hint are those of the table, in the envelope, with a request id."""
    case, row = CASES[code], TABLE[code]
    with serving(gateway.url, **case.env) as served, staged(served, gateway, case):
        got = ask(served, case, stream=stream)
    told = json.loads(got.body)["error"]
    assert (str(got.status), told["type"], told["code"]) == (row["status"], row["type"], code)
    assert set(told) == {"message", "type", "param", "code"}
    assert got.header("content-type") == "application/json; charset=utf-8"
    assert got.header("x-request-id")
    assert hint(got) == row["hint"]


def hint(got: Capture) -> str:
    """The hint headers, in the words of the table."""
    again, after = got.header("x-should-retry"), got.header("retry-after")
    told = [f"x-should-retry: {again}"] if again else []
    return " · ".join([*told, "Retry-After"] if after else told)


def test_every_code_has_a_row_and_a_case() -> None:
    """No code of the library is missing in the table or untested."""
    assert set(PROBLEMS) == set(CASES) | ELSEWHERE
    assert set(TABLE) == set(PROBLEMS) - {"client_gone"}  # nobody is there to read it
