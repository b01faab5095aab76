"""From answers to verdicts: each trouble has its word, its case and its next step."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lumen_proxy import config
from lumen_proxy.control.instances import PortStatus
from lumen_proxy.control.running_settings import stop_and_start_commands
from lumen_proxy.errors import Fatal
from lumen_proxy.health.cloud_verdicts import judge_cloud
from lumen_proxy.health.diagnosis import Diagnosis
from lumen_proxy.health.http_probe import ProbeResult, Trouble
from lumen_proxy.health.probes import probe_all
from lumen_proxy.health.verdicts import ChannelStatus, judge_proxy
from lumen_proxy.known_issues import ALL_ISSUES, USER_ISSUES, on_port

URL = "http://127.0.0.1:8080"
ANSWER = {"success": True, "persona": {"name": "세나"}, "response": "네", "sources": ["cache"], "timestamp": "x"}


def call(
    status: int | None, body: object = None, *, path: str = "/chat", trouble: Trouble | None = None
) -> ProbeResult:
    """An answer, or none."""
    return ProbeResult("GET", URL + path, status, 5.0, trouble, json.dumps(body).encode())


WELL = call(200, {"status": "healthy"}, path="/health")
PAGE = b"\xef\xbb\xbf \n<!doctype html><title>Sign in</title>"


def page(status: int, path: str = "/chat") -> ProbeResult:
    """A web page where a channel would answer in JSON."""
    return ProbeResult("GET", URL + path, status, 5.0, None, PAGE)


@pytest.mark.parametrize("status", [200, 400, 401, 403, 405, 415, 422, 429])
@pytest.mark.parametrize("channel", ["cloud_ai", "gateway"])
@pytest.mark.parametrize("health", [WELL, call(404), None])
def test_reachable(channel: str, status: int, health: ProbeResult | None) -> None:
    """405, or another 4xx but 404 in JSON, says that the address is right."""
    assert judge_cloud(channel, call(status), health).state == "up"


@pytest.mark.parametrize("channel", ["cloud_ai", "gateway"])
def test_a_refusal_needs_no_json(channel: str) -> None:
    """Web frameworks answer a wrong method with a page of their own, Cloud Run a limit with words."""
    assert judge_cloud(channel, page(405), WELL).state == "up"
    assert judge_cloud(channel, ProbeResult("GET", URL, 429, 5.0, None, b"Rate exceeded."), None).state == "up"


NO_CHANNELS = [
    ("captive-portal", page(200), None, None),
    ("captive-portal", page(511), None, None),
    ("captive-portal", page(405), page(200, "/health"), None),
    ("captive-portal", page(200), page(200, "/health"), page(200)),
    ("proxy-407", call(None, trouble="proxy_auth"), None, None),
    ("proxy-407", call(405), None, call(None, trouble="proxy_auth")),
    ("proxy-unsupported", call(None, trouble="proxy_unsupported"), None, None),
    (None, page(403), WELL, None),
    (None, ProbeResult("GET", URL, 200, 5.0, None, b"hello"), None, None),
    (None, call(405), call(200, {"hello": "world"}), None),
    (None, call(405), call(200, "words"), None),
    (None, ProbeResult("GET", URL, 200, 5.0, None, b"[" * 65_000), None, None),
    (None, call(405), ProbeResult("GET", f"{URL}/health", 200, 5.0, None, b"[" * 65_000), None),
    (None, call(None, trouble="settings"), None, None),
]
"""The known issue, the answers to GET /chat, to /health and to a chat."""


@pytest.mark.parametrize("channel", ["cloud_ai", "gateway"])
@pytest.mark.parametrize(("case", "chat", "health", "deep"), NO_CHANNELS)
def test_what_answers_is_no_channel(
    channel: str, case: str | None, chat: ProbeResult, health: ProbeResult | None, deep: ProbeResult | None
) -> None:
    """Portals, filters, proxies and other services are DOWN, with a next step."""
    found = judge_cloud(channel, chat, health, deep)
    assert (found.state, found.case) == ("down", case)
    assert found.advice
    assert bool(found.see) == bool(case)


@pytest.mark.parametrize("status", [301, 308, 404, 500, 502, 503])
@pytest.mark.parametrize("channel", ["cloud_ai", "gateway"])
def test_not_well(channel: str, status: int) -> None:
    """Elsewhere, nowhere, or in trouble: red, with the status and a next step."""
    found = judge_cloud(channel, call(status), None)
    assert found.state == "down"
    assert found.said.startswith(str(status))
    assert found.advice


TROUBLES: tuple[Trouble, ...] = (
    "refused", "timeout", "connect_timeout", "unknown_host", "dns_failure", "dns_timeout", "no_route", "tls", "lost",
    "proxy_failed",
)  # fmt: skip


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("channel", ["cloud_ai", "gateway"])
def test_no_answer(channel: str, trouble: Trouble) -> None:
    """Each kind of silence is red; only the gateway's time-outs are one of the seven."""
    found = judge_cloud(channel, call(None, trouble=trouble), None)
    assert found.state == "down"
    assert found.advice
    is_timeout = trouble in {"timeout", "connect_timeout"}
    assert (found.case == "gateway-timeout") == (channel == "gateway" and is_timeout)


@pytest.mark.parametrize("health", [call(503), call(None, trouble="timeout")])
def test_health_counts(health: ProbeResult) -> None:
    """A service that answers, but whose health does not, is not well; one without a health address may be."""
    assert judge_cloud("gateway", call(405), health).state == "down"
    assert judge_cloud("gateway", call(405), call(404)).state == "up"


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/ask", "set CLOUD_AI_URL to the address that ends in /chat"),
        ("/api/chat", "the old one in /api/chat is gone"),
        ("/chat", "ask its operator"),
        ("/chat/", "ask its operator"),
    ],
)
def test_what_to_do_about_a_404_of_cloud_ai(path: str, wanted: str) -> None:
    """An address of the right form is not said to be wrong."""
    found = judge_cloud("cloud_ai", call(404, path=path), WELL)
    assert wanted in (found.advice or "")
    assert found.said.endswith("; the server itself answers")
    assert ("wrong" in found.said) == (wanted != "ask its operator")


def test_a_channel_that_is_switched_off(tmp_path: Path) -> None:
    """It is OFF on purpose, and the line names the setting."""
    paths = {"LUMEN_STATE_DIR": str(tmp_path), "LUMEN_LOG_DIR": str(tmp_path)}
    channels = {"CLOUD_AI_URL": "none", "LUMEN_GATEWAY_URL": "http://127.0.0.1:1"}
    found = probe_all(config.load({**paths, **channels}, {"port": "1"}), within_s=5.0, thorough=False)
    assert [one.said for one in found if one.state == "unset"] == ["switched off (CLOUD_AI_URL=none)"]


DEEP = [
    (call(200, ANSWER), "up"),
    (call(200, {"success": False, "error": "no"}), "down"),
    (call(200, "words"), "down"),
    (call(401), "down"),
    (call(503), "down"),
    (call(None, trouble="timeout"), "down"),
    (call(None, trouble="lost"), "down"),
]


@pytest.mark.parametrize(("deep", "state"), DEEP)
def test_a_chat_call_decides(deep: ProbeResult, state: str) -> None:
    """With --deep a channel is as well as its answer, whatever a GET says."""
    assert judge_cloud("gateway", call(405), call(200), deep).state == state


def test_an_answer_outweighs_a_404() -> None:
    """Some servers say 404 to a GET where a POST is answered."""
    assert judge_cloud("gateway", call(404), call(200), call(200, ANSWER)).state == "up"


def port_status(condition: str, **fields: object) -> PortStatus:
    """What is on the port."""
    return PortStatus(condition, 8080, URL, **fields)  # type: ignore[arg-type]


SETTINGS = config.load({"LUMEN_STATE_DIR": "x", "LUMEN_LOG_DIR": "x"})
HEALTH = call(200, {"status": "ok"}, path="/health")
READY = call(200, {"status": "ready"}, path="/ready")
OPEN = call(503, {"error": {"code": "circuit_open"}}, path="/ready")

PROXIES = [
    (port_status("running", pid=1), (HEALTH, READY), "up", None),
    (port_status("running", pid=1), (HEALTH, OPEN), "down", None),
    (port_status("running", pid=1), (call(None, path="/health", trouble="timeout"),), "down", "proxy-connection"),
    (port_status("stopped"), (call(None, path="/health", trouble="refused"),), "down", "proxy-connection"),
    (port_status("silent", pid=1), (call(None, path="/health", trouble="timeout"),), "down", "proxy-connection"),
    (port_status("stranger", owner="nc (pid 7)"), (HEALTH,), "down", "port-conflict"),
    (port_status("stranger"), (call(500, {"error": "Timestamp"}, path="/health"),), "down", "proxy-timestamp"),
    (port_status("stranger"), (call(200, {"service": "local-llm-proxy"}, path="/health"),), "down", "proxy-timestamp"),
    (port_status("another", owner="python (pid 7)"), (HEALTH,), "down", None),
    (port_status("running", pid=1), (), "down", "proxy-connection"),
    (port_status("running", pid=1), (HEALTH, call(None, path="/ready", trouble="timeout")), "down", None),
    (port_status("stranger"), (call(500, {"error": "other"}, path="/health"),), "down", "port-conflict"),
]


@pytest.mark.parametrize(("who", "calls", "state", "case"), PROXIES)
def test_the_proxy(who: PortStatus, calls: tuple[ProbeResult, ...], state: str, case: str | None) -> None:
    """Who is on the port decides, then what it answers."""
    found = judge_proxy(who, SETTINGS, calls)
    assert (found.state, found.case) == (state, case)
    assert state == "up" or found.advice


METRICS = [
    (b"lumen_breaker_open 0.0\nlumen_breaker_half_open 0.0\n", "closed"),
    (b"lumen_breaker_open 1.0\nlumen_breaker_half_open 0.0\n", "open"),
    (b"lumen_breaker_open 0.0\nlumen_breaker_half_open 1.0\n", "half open"),
]


@pytest.mark.parametrize(("page", "state"), METRICS)
def test_the_breaker_is_read_from_the_metrics(page: bytes, state: str) -> None:
    """As Prometheus reads it."""
    metrics = ProbeResult("GET", f"{URL}/metrics", 200, 1.0, None, page)
    assert judge_proxy(port_status("running"), SETTINGS, (HEALTH, READY, metrics)).facts["breaker"] == state


@pytest.mark.parametrize("page", [b"", b"lumen_in_flight 0.0\n", b"lumen_breaker_open 0.0\nlumen_breaker_ha"])
def test_nothing_is_said_of_a_breaker_that_is_not_told(page: bytes) -> None:
    """A page that was cut, or that of another version: neither open nor closed."""
    metrics = ProbeResult("GET", f"{URL}/metrics", 200, 1.0, None, page)
    assert "breaker" not in judge_proxy(port_status("running"), SETTINGS, (HEALTH, READY, metrics)).facts


@pytest.mark.parametrize(("ms", "pace"), [(5.0, ""), (200.0, "slow"), (999.0, "slow"), (1_000.0, "very slow")])
def test_two_thresholds(ms: float, pace: str) -> None:
    """Warn and alert."""
    assert ChannelStatus("proxy", "up", "running", (ProbeResult("GET", URL, 200, ms),)).pace == pace


def test_seven_cases() -> None:
    """No more, no fewer, and each says what to do and how to see that it is mended."""
    assert len(USER_ISSUES) == 7
    assert all(issue.fix and issue.check and issue.title for issue in ALL_ISSUES.values())


def test_advice_names_an_unusual_port() -> None:
    """A command that is copied must reach the same proxy."""
    other = config.load({"LUMEN_STATE_DIR": "x", "LUMEN_LOG_DIR": "x"}, {"port": "8081"})
    assert on_port("lumen-proxy start", SETTINGS) == "lumen-proxy start"
    assert on_port("lumen-proxy start", other) == "lumen-proxy start --port 8081"
    assert on_port("lumen-proxy diagnose --no-start", other) == "lumen-proxy diagnose --port 8081 --no-start"
    assert on_port("lumen-proxy stop --port 8081", other) == "lumen-proxy stop --port 8081"
    assert on_port("wait", other) == "wait"
    assert on_port("lumen-proxy stop, then lumen-proxy start", other) == (
        "lumen-proxy stop --port 8081, then lumen-proxy start --port 8081"
    )
    usual = config.load({"PROXY_PORT": "8081"}, {"port": "8080"})
    assert on_port("lumen-proxy start", usual) == "lumen-proxy start --port 8080"


def test_advice_names_a_state_folder() -> None:
    """Without the folder that was given as an option, a copied command finds another proxy, or none."""
    elsewhere = config.load({"LUMEN_LOG_DIR": "x"}, {"port": "8081", "state_dir": "of mine"})
    words = f"--port 8081 --state-dir '{elsewhere.state_dir}'"
    assert on_port("lumen-proxy restart", elsewhere) == f"lumen-proxy restart {words}"
    assert stop_and_start_commands(elsewhere) == f"lumen-proxy stop {words}, then lumen-proxy start {words}"


def test_advice_stays_in_the_sandbox() -> None:
    """Who plays is not sent to the real channels by a command that is copied."""
    playing = SETTINGS.in_sandbox()
    assert on_port("lumen-proxy start", playing) == "lumen-proxy start --sandbox"
    assert on_port("lumen-proxy restart --sandbox", playing) == "lumen-proxy restart --sandbox"
    assert on_port("lumen-proxy status", playing) == "lumen-proxy status"
    assert on_port("lumen-proxy restart --no-sandbox", playing) == "lumen-proxy restart --no-sandbox"


@pytest.mark.parametrize(("taken", "free"), [("8080", 8081), ("8081", 8082), ("65535", 65534)])
def test_advice_for_a_conflict_leads_away_from_it(taken: str, free: int) -> None:
    """The next port, for the next step and for the look after it; never the one that is taken."""
    settings = config.load({"LUMEN_STATE_DIR": "x", "LUMEN_LOG_DIR": "x"}, {"port": taken})
    found = judge_proxy(port_status("stranger", owner="nc (pid 7)"), settings, (HEALTH,))
    assert found.advice
    assert found.advice.endswith(f"lumen-proxy start --port {free}")
    assert found.see == f"lumen-proxy status --port {free}"


def test_a_fallback_needs_an_address() -> None:
    """Cloud AI cannot be both switched off and the fallback."""
    paths = {"LUMEN_STATE_DIR": str(Path("x")), "LUMEN_LOG_DIR": "x"}
    with pytest.raises(Fatal, match="LUMEN_FALLBACK='cloud_ai' needs CLOUD_AI_URL, which is none"):
        config.load({**paths, "LUMEN_FALLBACK": "cloud_ai", "CLOUD_AI_URL": "none"})


@pytest.mark.parametrize(
    ("fallback", "red", "status", "verdict"),
    [
        ("off", ["cloud_ai"], 0, "GREEN; down but not used: Cloud AI"),
        ("cloud_ai", ["cloud_ai"], 69, "DOWN: Cloud AI"),
        ("off", ["cloud_ai", "gateway"], 69, "DOWN: Lumen Gateway"),
        ("off", [], 0, "ALL GREEN"),
    ],
)
def test_what_the_proxy_does_not_use_does_not_count(fallback: str, red: list[str], status: int, verdict: str) -> None:
    """Cloud AI is used as the fallback only: without one, that it is down is a remark and no failure."""
    settings = config.load({"LUMEN_STATE_DIR": "x", "LUMEN_LOG_DIR": "x", "LUMEN_FALLBACK": fallback})
    probes = tuple(
        ChannelStatus(name, "down" if name in red else "up", "", (), None, "wait") for name in ("cloud_ai", "gateway")
    )
    found = Diagnosis(settings, probes, ())
    assert (found.exit_status, found.verdict, found.as_json()["ok"]) == (status, verdict, status == 0)
    assert any("LUMEN_FALLBACK=off" in remark for remark in found.remarks) is (fallback == "off" and bool(red))
    assert [channel["state"] for channel in found.as_json()["channels"]].count("down") == len(red)
