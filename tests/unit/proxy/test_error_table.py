"""The error table, row by row: over a real socket, plain and streamed, and in the docs."""

from __future__ import annotations

import json

import pytest

from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http import client
from lumen_conformance.http.capture import Capture
from lumen_proxy.wire.api_errors import ERROR_TABLE
from tests.unit.proxy.behaviour import ROOT, functions
from tests.unit.proxy.error_cases import CASES, OTHER_TESTS, TIMEOUT_S, ErrorCase, staged
from tests.unit.proxy.error_pages import ERROR_PAGES
from tests.unit.proxy.running_proxy import USER, RunningProxy, run_proxy


def send(served: RunningProxy, case: ErrorCase, *, stream: bool) -> Capture:
    """Send the request of a case."""
    body = json.dumps({"messages": [USER], "stream": stream, **case.fields}).encode()
    headers = case.headers
    if not any(name == "Content-Type" for name, _ in headers):
        headers = (*headers, ("Content-Type", "application/json"))
    return client.call(
        served.url,
        "POST",
        "/v1/chat/completions",
        body=body[:-1] if case.is_cut else body,
        headers=headers,
        timeout_s=TIMEOUT_S,
    )


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("code", CASES)
def test_error(gateway: ScriptedGateway, code: str, stream: bool) -> None:  # noqa: FBT001 -- a row
    """Status, type, code and hint are those of the table, in the envelope, with a request id."""
    case, row = CASES[code], ERROR_TABLE[code]
    with run_proxy(gateway.url, **case.env) as served, staged(served, gateway, case):
        response = send(served, case, stream=stream)
    error = json.loads(response.body)["error"]
    assert (response.status, error["type"], error["code"]) == (row.status, row.type, code)
    assert set(error) == {"message", "type", "param", "code"}
    assert response.header("content-type") == "application/json; charset=utf-8"
    assert response.header("x-request-id")
    assert hint(response) == row.hint


def hint(response: Capture) -> str:
    """The hint of a response, in the form of the table."""
    should_retry, retry_after = response.header("x-should-retry"), response.header("retry-after")
    hints = [f"x-should-retry: {should_retry}"] if should_retry else []
    return " · ".join([*hints, "Retry-After"] if retry_after else hints)


def test_each_code_is_tested() -> None:
    """Each code of the table has a case, or names another test that exists."""
    assert set(ERROR_TABLE) == set(CASES) | set(OTHER_TESTS)
    names = {name.partition("::")[2] for name in functions()}
    assert set(OTHER_TESTS.values()) <= names


@pytest.mark.parametrize("page", ERROR_PAGES)
def test_the_docs_are_up_to_date(page: str) -> None:
    """The tables of errors in the docs are those of the program."""
    text = (ROOT / page).read_text("utf-8")
    for table in ERROR_PAGES[page]:
        assert f"{table()}\n\n" in text, f"{page} differs from the error table; run: make docs"
