"""The metrics and the log line of a request, whether the gateway or the server answers it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from lumen_conformance.gateway import replies
from lumen_conformance.http import client
from lumen_conformance.waiting import until
from lumen_proxy.logs.worker_log import WorkerLog
from tests.unit.proxy.raw_server import head
from tests.unit.proxy.running_proxy import RunningProxy, run_proxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lumen_conformance.gateway.server import ScriptedGateway
    from lumen_conformance.http.capture import Capture

WITHIN_S = 10.0


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_the_time_of_a_failing_gateway_is_counted(gateway: ScriptedGateway, stream: bool) -> None:  # noqa: FBT001 -- a row
    """The time of a failed gateway call is in the metrics."""
    gateway.standing = replies.silent
    with run_proxy(gateway.url, LUMEN_TIMEOUT_S="0.3") as served:
        assert served.chat(stream=stream).status == 504
        capture = until("counted", lambda: counted(served, 'code="gateway_timeout"'), within_s=WITHIN_S)
    lines = capture.body.decode().splitlines()
    assert 'lumen_gateway_seconds_count{channel="gateway"} 1.0' in lines
    assert 'lumen_gateway_seconds_bucket{channel="gateway",le="0.25"} 0.0' in lines
    assert "lumen_overhead_seconds_count 1.0" in lines
    assert not any(line.startswith("lumen_tokens_total{") for line in lines)


REFUSED = {
    "invalid_http": (400, head("Content-Length: +1")),
    "request_too_large": (413, head("Content-Length: 99999999")),
    "headers_too_large": (431, head("X: " + "x" * 40_000)),
    "unsupported_encoding": (501, head("Transfer-Encoding: gzip")),
}


@pytest.mark.parametrize("code", REFUSED)
def test_a_refusal_of_the_server_is_counted_and_logged(gateway: ScriptedGateway, tmp_path: Path, code: str) -> None:
    """By status and code, with the request id that the client received."""
    status, request = REFUSED[code]
    with run_proxy(gateway.url) as served:
        served.proxy.log = WorkerLog(tmp_path / "log", max_bytes=10_000, keep=1, days=1, level="info")
        capture = client.send(served.url, request)
        assert capture.status == status
        page = served.get("/metrics").body.decode().splitlines()
        served.proxy.log.flush()
    assert f'lumen_requests_total{{route="none",status="{status}"}} 1.0' in page
    assert f'lumen_rejections_total{{code="{code}"}} 1.0' in page
    line = json.loads((tmp_path / "log").read_text().splitlines()[0])
    assert (line["status"], line["code"], line["request_id"]) == (status, code, capture.header("x-request-id"))


@pytest.mark.parametrize("end", ["", "Content-Length: +1"], ids=["served", "refused"])
def test_an_unknown_method_is_not_logged(gateway: ScriptedGateway, tmp_path: Path, end: str) -> None:
    """It may contain text of a user."""
    request = head(end) if end else head("Connection: close")
    with run_proxy(gateway.url) as served:
        log = served.proxy.log = WorkerLog(tmp_path / "log", max_bytes=10_000, keep=1, days=1, level="info")
        client.send(served.url, request.replace(b"POST", b"SECRET-WORDS"))
        until("logged", lambda: log.flush() or (tmp_path / "log").exists(), within_s=WITHIN_S)  # type: ignore[func-returns-value]
    text = (tmp_path / "log").read_text()
    assert "SECRET" not in text
    assert json.loads(text.splitlines()[0])["method"] == "other"


@pytest.fixture
def served(gateway: ScriptedGateway) -> Iterator[RunningProxy]:
    """A proxy with default settings."""
    with run_proxy(gateway.url) as running:
        yield running


def counted(served: RunningProxy, what: str) -> Capture | None:
    """The page of metrics as soon as it contains this text: a request is counted after its last byte."""
    capture = served.get("/metrics")
    return capture if what in capture.body.decode() else None


def test_metrics(served: RunningProxy) -> None:
    """Counts, times, means and gauges, by route template only."""
    served.chat()
    served.get("/v1/models/secret-name")
    capture = until("counted", lambda: counted(served, 'code="model_not_found"'), within_s=WITHIN_S)
    assert str(capture.header("content-type")).startswith("text/plain")
    page = capture.body.decode()
    for line in (
        'lumen_requests_total{route="/chat/completions",status="200"} 1.0',
        'lumen_rejections_total{code="model_not_found"} 1.0',
        'lumen_request_seconds_count{route="/chat/completions"} 1.0',
        'lumen_gateway_seconds_count{channel="gateway"} 1.0',
        "lumen_overhead_seconds_count 1.0",
        'lumen_tokens_total{kind="prompt"} 4.0',
        "lumen_in_flight 0.0",
        "lumen_queued 0.0",
        "lumen_breaker_open 0.0",
        "lumen_restarts 0.0",
        "lumen_retries_total 0.0",
        "lumen_fallbacks_total 0.0",
    ):
        assert line in page.splitlines()
    assert 'lumen_request_seconds_mean{route="/chat/completions"}' in page
    assert "secret-name" not in page


def test_the_log_has_no_text_of_users(served: RunningProxy, tmp_path: Path) -> None:
    """Metadata only, in ASCII, one JSON object a line."""
    log = served.proxy.log = WorkerLog(tmp_path / "log", max_bytes=10_000, keep=1, days=1, level="info")
    served.chat("비밀", user="secret-user", headers=(("Authorization", "Bearer secret-key"),))
    until("logged", lambda: log.flush() or (tmp_path / "log").exists(), within_s=WITHIN_S)  # type: ignore[func-returns-value]
    text = (tmp_path / "log").read_text("ascii")
    line = json.loads(text)
    assert {"route": "/chat/completions", "status": 200, "channel": "gateway", "stream": False}.items() <= line.items()
    assert "secret" not in text
    assert json.dumps("비밀")[1:-1] not in text
