"""The status of a channel by its responses: each failure has a text, a known issue and a next step."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lumen_proxy import config
from lumen_proxy.control.instances import PortStatus
from lumen_proxy.health.cloud_verdicts import judge_cloud
from lumen_proxy.health.diagnosis import Diagnosis
from lumen_proxy.health.http_probe import ProbeResult, Trouble
from lumen_proxy.health.known_issues import ALL_ISSUES, USER_ISSUES
from lumen_proxy.health.probes import probe_all
from lumen_proxy.health.verdicts import ChannelStatus, judge_proxy

URL = "http://127.0.0.1:8080"
ANSWER = {"success": True, "persona": {"name": "세나"}, "response": "네", "sources": ["cache"], "timestamp": "x"}


def result(
    status: int | None, body: object = None, *, path: str = "/chat", trouble: Trouble | None = None
) -> ProbeResult:
    """The result of a request."""
    return ProbeResult("GET", URL + path, status, 5.0, trouble, json.dumps(body).encode())


HEALTHY = result(200, {"status": "healthy"}, path="/health")
PAGE = b"\xef\xbb\xbf \n<!doctype html><title>Sign in</title>"


def page(status: int, path: str = "/chat") -> ProbeResult:
    """A web page instead of the JSON of a channel."""
    return ProbeResult("GET", URL + path, status, 5.0, None, PAGE)


@pytest.mark.parametrize("status", [200, 400, 401, 403, 405, 415, 422, 429])
@pytest.mark.parametrize("channel", ["cloud_ai", "gateway"])
@pytest.mark.parametrize("health", [HEALTHY, result(404), None])
def test_reachable(channel: str, status: int, health: ProbeResult | None) -> None:
    """405, or another JSON error except 404, means that the address is right."""
    assert judge_cloud(channel, result(status), health).state == "up"


@pytest.mark.parametrize("channel", ["cloud_ai", "gateway"])
def test_a_refusal_needs_no_json(channel: str) -> None:
    """405 and 429 need no JSON: web frameworks and Cloud Run send their own pages."""
    assert judge_cloud(channel, page(405), HEALTHY).state == "up"
    assert judge_cloud(channel, ProbeResult("GET", URL, 429, 5.0, None, b"Rate exceeded."), None).state == "up"


NO_CHANNELS = [
    ("captive-portal", page(200), None, None),
    ("captive-portal", page(511), None, None),
    ("captive-portal", page(405), page(200, "/health"), None),
    ("captive-portal", page(200), page(200, "/health"), page(200)),
    ("proxy-407", result(None, trouble="proxy_auth"), None, None),
    ("proxy-407", result(405), None, result(None, trouble="proxy_auth")),
    ("proxy-unsupported", result(None, trouble="proxy_unsupported"), None, None),
    (None, page(403), HEALTHY, None),
    (None, ProbeResult("GET", URL, 200, 5.0, None, b"hello"), None, None),
    (None, result(405), result(200, {"hello": "world"}), None),
    (None, result(405), result(200, "text"), None),
    (None, ProbeResult("GET", URL, 200, 5.0, None, b"[" * 65_000), None, None),
    (None, result(405), ProbeResult("GET", f"{URL}/health", 200, 5.0, None, b"[" * 65_000), None),
    (None, result(None, trouble="settings"), None, None),
]
"""The known issue, the answers to GET /chat, to /health and to a chat."""


@pytest.mark.parametrize("channel", ["cloud_ai", "gateway"])
@pytest.mark.parametrize(("case", "chat", "health", "deep"), NO_CHANNELS)
def test_other_servers_are_down(
    channel: str, case: str | None, chat: ProbeResult, health: ProbeResult | None, deep: ProbeResult | None
) -> None:
    """A portal, a filter, a proxy or another service is DOWN, with a next step."""
    found = judge_cloud(channel, chat, health, deep)
    assert (found.state, found.case) == ("down", case)
    assert found.advice
    assert bool(found.see) == bool(case)


@pytest.mark.parametrize("status", [301, 308, 404, 500, 502, 503])
@pytest.mark.parametrize("channel", ["cloud_ai", "gateway"])
def test_error_statuses_are_down(channel: str, status: int) -> None:
    """A redirect, 404 and 5xx are DOWN, with the status and a next step."""
    found = judge_cloud(channel, result(status), None)
    assert found.state == "down"
    assert found.said.startswith(str(status))
    assert found.advice


TROUBLES: tuple[Trouble, ...] = (
    "refused", "timeout", "connect_timeout", "unknown_host", "dns_failure", "dns_timeout", "no_route", "tls", "lost",
    "proxy_failed",
)  # fmt: skip


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("channel", ["cloud_ai", "gateway"])
def test_network_errors_are_down(channel: str, trouble: Trouble) -> None:
    """Each network error is DOWN; only time-outs of the gateway are a known issue."""
    found = judge_cloud(channel, result(None, trouble=trouble), None)
    assert found.state == "down"
    assert found.advice
    is_timeout = trouble in {"timeout", "connect_timeout"}
    assert (found.case == "gateway-timeout") == (channel == "gateway" and is_timeout)


@pytest.mark.parametrize("health", [result(503), result(None, trouble="timeout")])
def test_a_failed_health_is_down(health: ProbeResult) -> None:
    """A channel with a failed /health is DOWN; one without /health may be UP."""
    assert judge_cloud("gateway", result(405), health).state == "down"
    assert judge_cloud("gateway", result(405), result(404)).state == "up"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/ask", "set CLOUD_AI_URL to the address that ends in /chat"),
        ("/api/chat", "/api/chat no longer exists"),
        ("/chat", "ask its operator"),
        ("/chat/", "ask its operator"),
    ],
)
def test_advice_for_a_404_of_cloud_ai(path: str, expected: str) -> None:
    """The advice for a 404 depends on the path of the address."""
    found = judge_cloud("cloud_ai", result(404, path=path), HEALTHY)
    assert expected in (found.advice or "")
    assert found.said.endswith("; the server itself answers")
    assert ("wrong" in found.said) == (expected != "ask its operator")


def test_a_channel_that_is_switched_off(tmp_path: Path) -> None:
    """A channel that is switched off is `unset`, and the text names the setting."""
    paths = {"LUMEN_STATE_DIR": str(tmp_path), "LUMEN_LOG_DIR": str(tmp_path)}
    channels = {"CLOUD_AI_URL": "none", "LUMEN_GATEWAY_URL": "http://127.0.0.1:1"}
    found = probe_all(config.load({**paths, **channels}, {"port": "1"}), within_s=5.0, thorough=False)
    assert [one.said for one in found if one.state == "unset"] == ["switched off (CLOUD_AI_URL=none)"]


DEEP = [
    (result(200, ANSWER), "up"),
    (result(200, {"success": False, "error": "no"}), "down"),
    (result(200, "text"), "down"),
    (result(401), "down"),
    (result(503), "down"),
    (result(None, trouble="timeout"), "down"),
    (result(None, trouble="lost"), "down"),
]


@pytest.mark.parametrize(("deep", "state"), DEEP)
def test_a_chat_request_decides(deep: ProbeResult, state: str) -> None:
    """With --deep the result of the chat request decides."""
    assert judge_cloud("gateway", result(405), result(200), deep).state == state


def test_an_answer_overrides_a_404() -> None:
    """A chat answer overrides a 404 for the GET."""
    assert judge_cloud("gateway", result(404), result(200), result(200, ANSWER)).state == "up"


def port_status(condition: str, **fields: object) -> PortStatus:
    """The status of the port."""
    return PortStatus(condition, 8080, URL, **fields)  # type: ignore[arg-type]


SETTINGS = config.load({"LUMEN_STATE_DIR": "x", "LUMEN_LOG_DIR": "x"})
HEALTH = result(200, {"status": "ok"}, path="/health")
READY = result(200, {"status": "ready"}, path="/ready")
OPEN = result(503, {"error": {"code": "circuit_open"}}, path="/ready")

PROXIES = [
    (port_status("running", pid=1), (HEALTH, READY), "up", None),
    (port_status("running", pid=1), (HEALTH, OPEN), "down", None),
    (port_status("running", pid=1), (result(None, path="/health", trouble="timeout"),), "down", "proxy-connection"),
    (port_status("stopped"), (result(None, path="/health", trouble="refused"),), "down", "proxy-connection"),
    (port_status("silent", pid=1), (result(None, path="/health", trouble="timeout"),), "down", "proxy-connection"),
    (port_status("stranger", owner="nc (pid 7)"), (HEALTH,), "down", "port-conflict"),
    (port_status("stranger"), (result(500, {"error": "Timestamp"}, path="/health"),), "down", "proxy-timestamp"),
    (
        port_status("stranger"),
        (result(200, {"service": "local-llm-proxy"}, path="/health"),),
        "down",
        "proxy-timestamp",
    ),
    (port_status("another", owner="python (pid 7)"), (HEALTH,), "down", None),
    (port_status("running", pid=1), (), "down", "proxy-connection"),
    (port_status("running", pid=1), (HEALTH, result(None, path="/ready", trouble="timeout")), "down", None),
    (port_status("stranger"), (result(500, {"error": "other"}, path="/health"),), "down", "port-conflict"),
]


@pytest.mark.parametrize(("status", "results", "state", "case"), PROXIES)
def test_the_proxy(status: PortStatus, results: tuple[ProbeResult, ...], state: str, case: str | None) -> None:
    """The program on the port decides, then its responses."""
    found = judge_proxy(status, SETTINGS, results)
    assert (found.state, found.case) == (state, case)
    assert state == "up" or found.advice


METRICS = [
    (b"lumen_breaker_open 0.0\nlumen_breaker_half_open 0.0\n", "closed"),
    (b"lumen_breaker_open 1.0\nlumen_breaker_half_open 0.0\n", "open"),
    (b"lumen_breaker_open 0.0\nlumen_breaker_half_open 1.0\n", "half open"),
]


@pytest.mark.parametrize(("page", "state"), METRICS)
def test_the_breaker_is_read_from_the_metrics(page: bytes, state: str) -> None:
    """The state of the breaker comes from the metrics."""
    metrics = ProbeResult("GET", f"{URL}/metrics", 200, 1.0, None, page)
    assert judge_proxy(port_status("running"), SETTINGS, (HEALTH, READY, metrics)).facts["breaker"] == state


@pytest.mark.parametrize("page", [b"", b"lumen_in_flight 0.0\n", b"lumen_breaker_open 0.0\nlumen_breaker_ha"])
def test_the_breaker_is_omitted_if_metrics_lack_it(page: bytes) -> None:
    """If /metrics is incomplete, the state of the breaker is omitted."""
    metrics = ProbeResult("GET", f"{URL}/metrics", 200, 1.0, None, page)
    assert "breaker" not in judge_proxy(port_status("running"), SETTINGS, (HEALTH, READY, metrics)).facts


@pytest.mark.parametrize(("ms", "pace"), [(5.0, ""), (200.0, "slow"), (999.0, "slow"), (1_000.0, "very slow")])
def test_two_thresholds(ms: float, pace: str) -> None:
    """The two thresholds mean slow and very slow."""
    assert ChannelStatus("proxy", "up", "running", (ProbeResult("GET", URL, 200, ms),)).pace == pace


def test_known_issues_are_complete() -> None:
    """There are seven known issues of users, and each has a title, a fix and a check."""
    assert len(USER_ISSUES) == 7
    assert all(issue.fix and issue.check and issue.title for issue in ALL_ISSUES.values())


@pytest.mark.parametrize(("taken", "free"), [("8080", 8081), ("8081", 8082), ("65535", 65534)])
def test_advice_for_a_conflict_names_another_port(taken: str, free: int) -> None:
    """The advice for a conflict names the next port, for the start and for the check."""
    settings = config.load({"LUMEN_STATE_DIR": "x", "LUMEN_LOG_DIR": "x"}, {"port": taken})
    found = judge_proxy(port_status("stranger", owner="nc (pid 7)"), settings, (HEALTH,))
    assert found.advice
    assert found.advice.endswith(f"lumen-proxy start --port {free}")
    assert found.see == f"lumen-proxy status --port {free}"


@pytest.mark.parametrize(
    ("fallback", "down", "status", "verdict"),
    [
        ("off", ["cloud_ai"], 0, "GREEN; down but not used: Cloud AI"),
        ("cloud_ai", ["cloud_ai"], 69, "DOWN: Cloud AI"),
        ("off", ["cloud_ai", "gateway"], 69, "DOWN: Lumen Gateway"),
        ("off", [], 0, "ALL GREEN"),
    ],
)
def test_an_unused_channel_does_not_count(fallback: str, down: list[str], status: int, verdict: str) -> None:
    """A failure of Cloud AI is only a remark if it is not the fallback."""
    settings = config.load({"LUMEN_STATE_DIR": "x", "LUMEN_LOG_DIR": "x", "LUMEN_FALLBACK": fallback})
    channels = tuple(
        ChannelStatus(name, "down" if name in down else "up", "", (), None, "wait") for name in ("cloud_ai", "gateway")
    )
    found = Diagnosis(settings, channels, ())
    assert (found.exit_status, found.verdict, found.as_json()["ok"]) == (status, verdict, status == 0)
    assert any("LUMEN_FALLBACK=off" in remark for remark in found.remarks) is (fallback == "off" and bool(down))
    assert [channel["state"] for channel in found.as_json()["channels"]].count("down") == len(down)
