"""The OpenAI library in a page of headless Chromium: how often one request reaches the gateway.

The page, the proxies and their gateways have loopback origins. Each row of the error table has a proxy and a gateway;
all requests are sent at once, with the defaults of the library. ``invalid_http`` and ``unsupported_encoding`` are
missing, since no page can send such bytes.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from lumen_conformance.gateway.exchange import Exchange
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.targets.launch import Launcher
from lumen_proxy.wire.api_errors import ERROR_TABLE
from tests.contract.clients.versions import ENVIRONMENT, HERE, PYTHON, missing
from tests.unit.proxy.error_cases import CASES, ErrorCase, breaker_opened, staged
from tests.unit.proxy.running_proxy import USER, RunningProxy, run_proxy

PAGE_HOST = "127.0.0.1"
BROWSER_S = 60.0  # a start of Chromium and the longest retries take 8 s here
MAX_RETRIES = 2  # the default of the library
TIMER_S = 0.02  # the clock of a page is less precise than its timers (High Resolution Time: 0.1 ms)
LATE_S = 0.3  # the stream has begun by then
SMALL = {"LUMEN_MAX_CONCURRENCY": "2", "LUMEN_MAX_QUEUE": "2"}  # few threads, since each row has a proxy
QUESTION = {"model": "lumen-gateway", "messages": [USER]}


@contextmanager
def breaker_open(served: RunningProxy, gateway: ScriptedGateway) -> Iterator[None]:
    """The breaker is open, and its clock stops, since the browser may need long to start."""
    with mock.patch.object(served.proxy.gateway.breaker, "_clock", return_value=time.monotonic()):
        breaker_opened(served, gateway)
        yield


@contextmanager
def buggy(served: RunningProxy, _: ScriptedGateway) -> Iterator[None]:
    """The proxy has a bug."""
    with mock.patch.object(served.proxy.gateway, "answer", side_effect=ZeroDivisionError):
        yield


def late(exchange: Exchange) -> None:
    """Reset the connection after the stream has begun."""
    if exchange.hold(at_most_s=LATE_S):
        exchange.reset()


@dataclass(frozen=True)
class PageRequest:
    """A case, and how the page sends it; ``gateway`` replaces the address of the scripted gateway."""

    case: ErrorCase = field(default_factory=ErrorCase)
    method: str = "post"
    path: str = "/chat/completions"
    stream: bool = False
    gateway: str | None = None


QUESTIONS = {
    **{code: PageRequest(case) for code, case in CASES.items()},
    "circuit_open": PageRequest(replace(CASES["circuit_open"], before=breaker_open)),
    "not_found": PageRequest(path="/nothing-here"),
    "method_not_supported": PageRequest(method="get"),
    "headers_too_large": PageRequest(ErrorCase(headers=(("X-Large", "x" * 40_000),))),
    "internal_error": PageRequest(ErrorCase(before=buggy)),
    "dns": PageRequest(gateway="http://gateway.invalid"),
    "plain": PageRequest(),
    "stream": PageRequest(stream=True),
    "late": PageRequest(ErrorCase(env={"LUMEN_STREAM_COMMIT_S": "0.05"}, reply=late), stream=True),
}


@dataclass(frozen=True)
class PageResult:
    """What the page received for one request, and the number of gateway calls."""

    attempts: list[dict[str, Any]]
    text: str | None
    error: dict[str, Any] | None
    calls: int


def missing_browser() -> str | None:
    """Why no browser can be started here, or None."""
    if not shutil.which("chromium"):
        return "Chromium is not on the PATH (Debian: apt-get install chromium)"
    if why := missing("node") or missing("python"):
        return why
    installed = any(ENVIRONMENT.glob("[Ll]ib/**/site-packages/playwright"))
    return None if installed else "Playwright is not set up: make clients"


pytestmark = pytest.mark.skipif(missing_browser() is not None, reason=str(missing_browser()))


@pytest.fixture(scope="module")
def page_results(module_launch: Launcher, tmp_path_factory: pytest.TempPathFactory) -> dict[str, PageResult]:
    """The results of all requests, which are sent once."""
    folder = tmp_path_factory.mktemp("browser")
    with ExitStack() as stack:
        gateways = {name: stack.enter_context(ScriptedGateway()) for name in QUESTIONS}
        pages: dict[str, dict[str, Any]] = {}
        for name, question in QUESTIONS.items():
            host, request = started(question, gateways[name], stack)
            pages.setdefault(host, {})[name] = request
        before = {name: len(gateway.chats) for name, gateway in gateways.items()}
        results = run_page(pages, module_launch, folder)
        calls = {name: len(gateway.chats) - before[name] for name, gateway in gateways.items()}
    return {name: PageResult(**results[name], calls=calls[name]) for name in QUESTIONS}


def started(question: PageRequest, gateway: ScriptedGateway, stack: ExitStack) -> tuple[str, dict[str, Any]]:
    """Start the proxy of a request; return the host of the page, and the request."""
    case = question.case
    headers = {**dict(case.headers)}
    served = stack.enter_context(run_proxy(question.gateway or gateway.url, **{**SMALL, **case.env}))
    stack.enter_context(staged(served, gateway, case))
    url = served.url.replace(PAGE_HOST, headers.pop("Host", PAGE_HOST))
    page = headers.pop("Origin", PAGE_HOST).removeprefix("https://")
    body = QUESTION | dict(case.fields) | {"stream": question.stream} if question.method == "post" else None
    return page, {
        "url": url,
        "key": headers.pop("Authorization", "any").removeprefix("Bearer "),
        "headers": headers,
        "method": question.method,
        "path": question.path,
        "stream": question.stream,
        "body": body,
        "cut": case.is_cut,
    }


def run_page(pages: dict[str, dict[str, Any]], launch: Launcher, folder: Path) -> dict[str, Any]:
    """Run the page; raises RuntimeError if the browser or the page fails."""
    questions, results = folder / "questions.json", folder / "results.json"
    questions.write_text(json.dumps(pages), "utf-8")
    script = str(HERE / "python" / "chromium.py")
    home = {"HOME": str(folder / "home")}
    done = launch.run(script, str(questions), str(results), tool=(str(PYTHON),), env=home, within_s=BROWSER_S)
    if done.exit_status:
        raise RuntimeError(f"the browser ended with {done.exit_status}\n{done.stdout}\n{done.stderr}")
    page_results: dict[str, Any] = json.loads(results.read_text("utf-8"))["results"]
    return page_results


def is_final(code: str) -> bool:
    """Whether the table forbids another attempt."""
    row = ERROR_TABLE[code]
    return row.headers.get("x-should-retry") == "false" or (400 <= row.status < 500 and row.status != 429)


UNREADABLE = ["host_not_allowed", "origin_not_allowed"]  # their preflight is refused
FINAL = [code for code in QUESTIONS if code in ERROR_TABLE and is_final(code) and code not in UNREADABLE]
AGAIN = [code for code in QUESTIONS if code in ERROR_TABLE and not is_final(code)] + ["dns"]
UNREACHABLE = ["gateway_unreachable", "dns"]


@pytest.mark.parametrize("code", FINAL)
def test_final_error(code: str, page_results: dict[str, PageResult]) -> None:
    """A request with a final error is sent once; the page reads status, code and request id."""
    found, row = page_results[code], ERROR_TABLE[code]
    assert found.error is not None
    assert (found.error["status"], found.error["code"]) == (row.status, code)
    assert found.error["request_id"]
    assert len(found.attempts) == 1
    assert found.calls == (1 if CASES.get(code, ErrorCase()).reply else 0)


@pytest.mark.parametrize("code", AGAIN)
def test_error_with_retry_after(code: str, page_results: dict[str, PageResult]) -> None:
    """A request with Retry-After is sent at most three times, after the time in the header."""
    found = page_results[code]
    assert 1 < len(found.attempts) <= 1 + MAX_RETRIES
    assert found.calls <= (0 if code in UNREACHABLE else 1 + MAX_RETRIES)
    for first, second in zip(found.attempts, found.attempts[1:], strict=False):
        assert second["at_s"] - first["at_s"] >= float(first["headers"]["retry-after"]) - TIMER_S


@pytest.mark.parametrize("code", UNREADABLE)
def test_refused_page(code: str, page_results: dict[str, PageResult]) -> None:
    """A page with a refused origin or host name reads nothing and causes no gateway call."""
    found = page_results[code]
    assert found.error is not None
    assert found.error["class"] == "APIConnectionError"
    assert found.calls == 0


@pytest.mark.parametrize("name", ["plain", "stream"])
def test_answer(name: str, page_results: dict[str, PageResult]) -> None:
    """An answered request is one gateway call; the page reads the request id."""
    found = page_results[name]
    assert (found.text, found.error, found.calls) == (USER["content"], None, 1)
    assert [attempt["headers"]["x-request-id"] for attempt in found.attempts] != [""]


def test_late_failure(page_results: dict[str, PageResult]) -> None:
    """A stream that breaks is an error, and the request is sent once."""
    found = page_results["late"]
    assert found.error is not None
    assert found.error["code"] == "gateway_connection_lost"
    assert (len(found.attempts), found.calls) == (1, 1)
