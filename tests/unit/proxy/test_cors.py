"""CORS: an allowed page can read each answer, with all headers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

import pytest

from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http import client
from lumen_conformance.http.capture import Capture
from lumen_proxy.wire.api_errors import ERROR_TABLE
from tests.unit.proxy.error_cases import CASES, ErrorCase, staged
from tests.unit.proxy.raw_server import head
from tests.unit.proxy.running_proxy import USER, RunningProxy, run_proxy

PAGE = "http://localhost:3000"
# Headers that each page can read (Fetch, 2.2.2), those of the connection and of CORS, and the date.
SAFE = {"cache-control", "content-language", "content-length", "content-type", "expires", "last-modified", "pragma"}
OF_THE_CONNECTION = {"connection", "date", "transfer-encoding", "vary", "x-accel-buffering", "accept-encoding"}
SDK_HEADERS = "authorization,content-type,openai-organization,x-stainless-lang,x-stainless-retry-count,x_odd.name"


def sent(data: bytes) -> Callable[[RunningProxy], Capture]:
    """Send exactly these bytes."""
    return lambda served: client.send(served.url, data)


ORIGIN = ("Origin", PAGE)
ANSWERS: dict[str, Callable[[RunningProxy], Capture]] = {
    "answer": lambda served: served.chat(headers=(ORIGIN,)),
    "stream": lambda served: served.chat(stream=True, headers=(ORIGIN,)),
    "models": lambda served: served.get("/v1/models", ORIGIN),
    "404": lambda served: served.get("/nothing", ORIGIN),
    "405": lambda served: served.get("/v1/chat/completions", ORIGIN),
    "400": lambda served: served.chat(temperature=3, headers=(ORIGIN,)),
    "400-of-the-server": sent(head("Content-Length: +1").replace(b"\r\n", f"\r\nOrigin: {PAGE}\r\n".encode(), 1)),
    "413": sent(head("Content-Length: 99999999", f"Origin: {PAGE}")),
    "431": sent(head("X: " + "x" * 40_000, f"Origin: {PAGE}")),
    "501": sent(head(f"Origin: {PAGE}", "Transfer-Encoding: gzip")),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answer_is_readable(name: str, gateway: ScriptedGateway) -> None:
    """The answer has the origin of the page, and exposes each of its headers."""
    with run_proxy(gateway.url) as served:
        assert_readable(ANSWERS[name](served))


OF_A_PAGE = [code for code, case in CASES.items() if not {"Host", "Origin"} & dict(case.headers).keys()]
WITH_OTHER_HEADERS = {tuple(ERROR_TABLE[code].headers): code for code in OF_A_PAGE}.values()


@pytest.mark.parametrize("code", [*WITH_OTHER_HEADERS, "invalid_api_key"])
def test_error_is_readable(code: str, gateway: ScriptedGateway) -> None:
    """So does an error, for each set of headers in the error table, and one that is raised before the route."""
    case: ErrorCase = CASES[code]
    with ExitStack() as stack:
        served = stack.enter_context(run_proxy(gateway.url, **case.env))
        stack.enter_context(staged(served, gateway, case))
        capture = served.chat(headers=(*case.headers, ORIGIN), **case.fields)
    assert_readable(capture)


def assert_readable(capture: Capture) -> None:
    """The page can read the answer."""
    assert capture.header_all("access-control-allow-origin") == (PAGE,)
    assert "Origin" in (capture.header("vary") or "")
    exposed = {name.strip() for name in (capture.header("access-control-expose-headers") or "").split(",")}
    names = {name.lower() for name, _ in capture.headers}
    assert {name for name in names if not name.startswith("access-control-")} <= exposed | SAFE | OF_THE_CONNECTION


@pytest.mark.parametrize("origin", ["https://attacker.example", "null", ""])
@pytest.mark.parametrize("name", ["413", "431", "501"])
def test_other_pages_read_nothing(name: str, origin: str, gateway: ScriptedGateway) -> None:
    """A refusal of the server has no CORS headers for a page that is not allowed."""
    lines = {"413": "Content-Length: 99999999", "431": "X: " + "x" * 40_000, "501": "Transfer-Encoding: gzip"}
    with run_proxy(gateway.url) as served:
        capture = client.send(served.url, head(f"Origin: {origin}", lines[name]))
    assert capture.status == int(name)
    assert not [each for each, _ in capture.headers if each.lower().startswith("access-control-")]


def preflight(served: RunningProxy, *headers: tuple[str, str]) -> Capture:
    """The preflight request of a browser."""
    request_headers = [
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", SDK_HEADERS),
        *headers,
    ]
    return client.call(served.url, "OPTIONS", "/v1/chat/completions", headers=request_headers)


@pytest.mark.parametrize("private", [True, False])
def test_preflight(gateway: ScriptedGateway, private: bool) -> None:  # noqa: FBT001 -- a row
    """A page may send what the OpenAI library sends; the preflight needs no key, the request does."""
    network = [("Access-Control-Request-Private-Network", "true")] if private else []
    with run_proxy(gateway.url, PROXY_API_KEY="sk-1") as served:
        capture = preflight(served, ORIGIN, *network)
        refused = served.chat(headers=(ORIGIN,))
    assert capture.status == 204
    assert capture.header("access-control-allow-origin") == PAGE
    assert capture.header("access-control-allow-headers") == SDK_HEADERS
    assert "POST" in (capture.header("access-control-allow-methods") or "")
    assert capture.header("access-control-allow-private-network") == ("true" if private else None)
    assert (refused.status, refused.header("access-control-allow-origin")) == (401, PAGE)


def test_a_loopback_page_by_a_foreign_name(gateway: ScriptedGateway) -> None:
    """A foreign Host that resolves to this machine is refused for any page (DNS rebinding)."""
    with run_proxy(gateway.url) as served:
        name = ("Host", "attacker.example")
        capture = [served.get("/v1/models", ORIGIN, name), preflight(served, ORIGIN, name)]
    assert [each.status for each in capture] == [403, 403]


def test_answer_without_a_page(gateway: ScriptedGateway) -> None:
    """The answer to a request without an Origin has no CORS headers."""
    with run_proxy(gateway.url) as served:
        capture = served.chat(USER["content"])
    assert not [name for name, _ in capture.headers if name.lower().startswith("access-control-")]
