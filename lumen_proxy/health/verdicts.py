"""The status of a channel from the results of its probes. This module uses no network, so tests can pass any result."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from lumen_proxy.control.advice import NEXT_PORT, on_port
from lumen_proxy.health.known_issues import ALL_ISSUES

if TYPE_CHECKING:
    from lumen_proxy.config import Settings
    from lumen_proxy.control.instances import PortStatus
    from lumen_proxy.health.http_probe import ProbeResult

Fields = dict[str, Any]

NAMES = {
    "proxy": "Local proxy",
    "cloud_ai": "Cloud AI",
    "gateway": "Lumen Gateway",
    "environment": "Environment",
}
VARIABLES = {"cloud_ai": "CLOUD_AI_URL", "gateway": "LUMEN_GATEWAY_URL"}
SLOW_MS = {"proxy": (200.0, 1_000.0), "cloud_ai": (2_000.0, 10_000.0), "gateway": (2_000.0, 10_000.0)}
"""Slow, very slow. The tests limit /health of the proxy to 1 s; a warm channel takes less than 2 s; users wait 10 s."""

TROUBLE_TEXTS = {
    "refused": "connection refused: no program listens on the port",
    "timeout": "no answer in time",
    "unknown_host": "the host name is unknown",
    "dns_timeout": "the DNS lookup of the host name timed out",
    "connect_timeout": "the connection was not accepted in time",
    "tls": "no trusted TLS connection",
    "lost": "the connection was lost",
}
RETRY_LATER = "wait, then check again"
USE_OTHER_PORT = (
    "inspect it as its user, with its LUMEN_STATE_DIR, or in its container; "
    f"or choose another port: lumen-proxy start {NEXT_PORT}"
)
OLD_SERVICE = "local-llm-proxy"  # in /health of the proxy that this one replaces
OK, REDIRECT, BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, NOT_FOUND, METHOD_NOT_ALLOWED, TOO_MANY, SERVER_ERROR = (
    200, 300, 400, 401, 403, 404, 405, 429, 500,
)  # fmt: skip
NETWORK_SIGN_IN = 511  # RFC 6585, section 6: the network requires a sign-in


@dataclass(frozen=True)
class ChannelStatus:
    """The status of one channel. `unset`: the channel is switched off. The first of `calls` has the response time.

    `case` is the id of a known issue, if there is one. `advice` is the next step, `see` the command that checks it.
    `facts` are values from responses, `notes` further texts for people.
    """

    channel: str
    state: Literal["up", "down", "unset"]
    said: str
    calls: tuple[ProbeResult, ...] = ()
    case: str | None = None
    advice: str | None = None
    see: str | None = None
    facts: Fields = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name of the channel for people."""
        return NAMES[self.channel]

    @property
    def ms(self) -> float | None:
        """The time of the first response."""
        return self.calls[0].ms if self.calls and self.calls[0].status is not None else None

    @property
    def pace(self) -> Literal["", "slow", "very slow"]:
        """Slow or very slow by the two thresholds."""
        warn, alert = SLOW_MS.get(self.channel, (float("inf"),) * 2)
        ms = self.ms or 0.0
        return "very slow" if ms >= alert else "slow" if ms >= warn else ""

    def on_port(self, settings: Settings) -> ChannelStatus:
        """The status with commands that address the proxy of these settings."""
        advice, see = (text and on_port(text, settings) for text in (self.advice, self.see))
        return replace(self, advice=advice, see=see)

    def as_json(self) -> dict[str, Any]:
        """All fields as plain values."""
        plain = {key: value for key, value in asdict(self).items() if key != "calls"}
        ms = None if self.ms is None else round(self.ms, 1)
        return {
            **plain,
            "name": self.name,
            "ms": ms,
            "pace": self.pace,
            "calls": [call.as_json() for call in self.calls],
        }


def make_down(
    channel: str, said: str, results: tuple[ProbeResult, ...], *, case: str = "", advice: str = ""
) -> ChannelStatus:
    """The status of a channel that is down, with the advice of its known issue unless it has its own."""
    see = ALL_ISSUES[case].check if case else None
    return ChannelStatus(channel, "down", said, results, case or None, advice or ALL_ISSUES[case].fix, see)


def judge_proxy(
    port_status: PortStatus, settings: Settings, results: tuple[ProbeResult, ...], *, deep: ProbeResult | None = None
) -> ChannelStatus:
    """The status of the local proxy by what is on the port and by the responses to /health, /ready and /metrics."""
    answers = {result.url.rpartition("/")[2]: result for result in results}
    every = (*results, deep) if deep else results
    health = answers.get("health")
    if any(map(_is_from_old_proxy, every)):
        verdict = make_down("proxy", _describe_old_proxy(health), every, case="proxy-timestamp")
    elif port_status.condition == "stranger":
        verdict = make_down(
            "proxy", f"port {port_status.port} belongs to {port_status.owner}", every, case="port-conflict"
        )
    elif port_status.condition == "another":
        other = "another lumen-proxy (another user, or another LUMEN_STATE_DIR)"
        said = f"{other} has port {port_status.port}: {port_status.owner}"
        verdict = make_down("proxy", said, every, advice=USE_OTHER_PORT)
    elif port_status.condition == "stopped":
        why = port_status.last_failure or "connection refused"
        verdict = make_down("proxy", f"not running: {why}", every, case="proxy-connection")
        if port_status.last_failure and port_status.log:
            verdict = replace(verdict, advice=f"read {port_status.log}, then: lumen-proxy start")
    elif port_status.condition in {"booting", "draining"}:
        verdict = make_down("proxy", f"{port_status.state} (pid {port_status.pid})", every, advice=RETRY_LATER)
    elif port_status.hang:
        verdict = make_down("proxy", str(port_status.hang), every, case="proxy-connection", advice=RETRY_LATER)
    elif port_status.condition == "silent" or health is None or health.status != OK:
        said = f"running (pid {port_status.pid or 'not known'}), but does not answer"
        verdict = make_down("proxy", said, every, case="proxy-connection", advice="lumen-proxy restart")
    else:
        verdict = _judge_serving(every, answers, deep)
    return replace(verdict, facts=_fields(port_status, answers.get("metrics")) | verdict.facts).on_port(settings)


def _fields(port_status: PortStatus, metrics: ProbeResult | None) -> Fields:
    names = ("pid", "worker_pid", "instance", "restarts", "generation", "uptime_s", "owner", "last_failure")
    fields = {name: getattr(port_status, name) for name in names} | {"breaker": _breaker(metrics)}
    return {name: value for name, value in fields.items() if value is not None}


def _judge_serving(
    every: tuple[ProbeResult, ...], answers: dict[str, ProbeResult], deep: ProbeResult | None
) -> ChannelStatus:
    ready = answers.get("ready")
    if ready and ready.status != OK:
        code = _code(ready)
        advice = (
            "circuit breaker open: it closes when the gateway responds again" if code == "circuit_open" else RETRY_LATER
        )
        return make_down("proxy", f"running, but not ready: {code}", every, advice=advice)
    if deep is None:
        return ChannelStatus("proxy", "up", "running", every)
    if deep.status != OK:
        advice = "fix the channel that is down"
        if deep.status == UNAUTHORIZED:
            advice = "set PROXY_API_KEY to the key that the proxy was started with"
        elif deep.trouble == "timeout":
            advice = "check again with a larger --within, or fix the channel that is down"
        return make_down("proxy", f"running, but a chat request failed: {_code(deep)}", every, advice=advice)
    metadata = deep.json().get("lumen_metadata") or {}
    persona = (metadata.get("persona") or {}).get("name")
    return ChannelStatus("proxy", "up", "answers", every, facts=answer_fields(persona, metadata.get("sources")))


def answer_fields(persona: object, sources: object) -> Fields:
    """The persona and the sources of an answer, if it has them."""
    return {name: value for name, value in (("persona", persona), ("sources", sources)) if value}


def _code(result: ProbeResult) -> object:
    """Why a request failed: the code of its error, the network error, or its status."""
    error = result.json().get("error")
    code = error.get("code") if isinstance(error, dict) else None
    return code or TROUBLE_TEXTS.get(result.trouble or "", result.status)


def _is_from_old_proxy(result: ProbeResult) -> bool:
    """By its name or by its error; a response of the old proxy may have no error."""
    return result.json().get("service") == OLD_SERVICE or _is_timestamp_error(result)


def _describe_old_proxy(health: ProbeResult | None) -> str:
    is_named = health is not None and health.json().get("service") == OLD_SERVICE
    return f"its name is {OLD_SERVICE}" if is_named else "500, about a timestamp"


def _is_timestamp_error(result: ProbeResult) -> bool:
    return result.status == SERVER_ERROR and b"timestamp" in result.body.lower()


def _breaker(metrics: ProbeResult | None) -> str | None:
    """The state of the circuit breaker by /metrics; None if /metrics lacks it."""
    if metrics is None or metrics.status != OK:
        return None
    lines = dict(line.rpartition(b" ")[::2] for line in metrics.body.split(b"\n"))
    states = {b"lumen_breaker_open": "open", b"lumen_breaker_half_open": "half open"}
    if not states.keys() <= lines.keys():
        return None
    return next((word for name, word in states.items() if lines[name] != b"0.0"), "closed")
