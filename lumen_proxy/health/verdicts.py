"""From answers to a verdict on a channel. Pure: no network here, so that every trouble can be shown to it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from lumen_proxy.known_issues import ELSEWHERE, KNOWN, on_port

if TYPE_CHECKING:
    from lumen_proxy.config import Settings
    from lumen_proxy.control.instances import Seen
    from lumen_proxy.health.http_probe import Call

Facts = dict[str, Any]

NAMES = {
    "proxy": "Local proxy",
    "cloud_ai": "Cloud AI",
    "gateway": "Lumen Gateway",
    "environment": "Environment",
}
VARIABLES = {"cloud_ai": "CLOUD_AI_URL", "gateway": "LUMEN_GATEWAY_URL"}
SLOW_MS = {"proxy": (200.0, 1_000.0), "cloud_ai": (2_000.0, 10_000.0), "gateway": (2_000.0, 10_000.0)}
"""Warn, alert. The proxy's /health is held to 1 s by its tests; a warm channel takes less than 2 s, users wait 10 s."""

TROUBLES = {
    "refused": "connection refused: nobody listens there",
    "timeout": "no answer in time",
    "unknown_host": "the host name is unknown",
    "dns_timeout": "the look-up of the host name timed out",
    "connect_timeout": "no connection was accepted in time",
    "tls": "no trusted TLS connection",
    "lost": "the connection was lost",
}
LATER = "wait, and check again"
ANOTHER = (
    "look at it as its user, with its LUMEN_STATE_DIR, or in its container; "
    f"or choose another port: lumen-proxy start {ELSEWHERE}"
)
OLD_SERVICE = "local-llm-proxy"  # what the proxy before this one says in its /health
OK, REDIRECT, BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, NOT_FOUND, METHOD_NOT_ALLOWED, TOO_MANY, SERVER_ERROR = (
    200, 300, 400, 401, 403, 404, 405, 429, 500,
)  # fmt: skip
NETWORK_SIGN_IN = 511  # RFC 6585, 6: a network asks to sign in


@dataclass(frozen=True)
class Probe:
    """A verdict on one channel. `unset` = switched off: neither good nor bad. The first call is the one that counts.

    `case` is the id of a known issue, if it is one; `advice` is what to do next, `see` how to check that it is fixed.
    `notes` are facts beside the verdict.
    """

    channel: str
    state: Literal["up", "down", "unset"]
    said: str
    calls: tuple[Call, ...] = ()
    case: str | None = None
    advice: str | None = None
    see: str | None = None
    facts: Facts = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """For people."""
        return NAMES[self.channel]

    @property
    def ms(self) -> float | None:
        """How long the first answer took."""
        return self.calls[0].ms if self.calls and self.calls[0].status is not None else None

    @property
    def pace(self) -> Literal["", "slow", "very slow"]:
        """Against the two thresholds."""
        warn, alert = SLOW_MS.get(self.channel, (float("inf"),) * 2)
        ms = self.ms or 0.0
        return "very slow" if ms >= alert else "slow" if ms >= warn else ""

    def on_port(self, settings: Settings) -> Probe:
        """The same, with commands that reach the proxy of these settings."""
        advice, see = (text and on_port(text, settings) for text in (self.advice, self.see))
        return replace(self, advice=advice, see=see)

    def as_json(self) -> dict[str, Any]:
        """Everything, as plain values."""
        plain = {key: value for key, value in asdict(self).items() if key != "calls"}
        ms = None if self.ms is None else round(self.ms, 1)
        return {**plain, "name": self.name, "ms": ms, "pace": self.pace, "calls": [c.facts() for c in self.calls]}


def down(channel: str, said: str, calls: tuple[Call, ...], *, case: str = "", advice: str = "") -> Probe:
    """A red line, with the advice of its case unless it has its own."""
    see = KNOWN[case].see if case else None
    return Probe(channel, "down", said, calls, case or None, advice or KNOWN[case].do, see)


def on_proxy(seen: Seen, settings: Settings, calls: tuple[Call, ...], *, deep: Call | None = None) -> Probe:
    """The local proxy: who is on the port, and what it answers to /health, /ready and /metrics."""
    answers = {call.url.rpartition("/")[2]: call for call in calls}
    every = (*calls, deep) if deep else calls
    health = answers.get("health")
    if any(map(_is_of_the_old_proxy, every)):
        verdict = down("proxy", _said_by_the_old_proxy(health), every, case="proxy-timestamp")
    elif seen.condition == "stranger":
        verdict = down("proxy", f"port {seen.port} belongs to {seen.owner}", every, case="port-conflict")
    elif seen.condition == "another":
        said = f"another lumen-proxy (another user, or another LUMEN_STATE_DIR) has port {seen.port}: {seen.owner}"
        verdict = down("proxy", said, every, advice=ANOTHER)
    elif seen.condition == "stopped":
        why = seen.last_failure or "connection refused"
        verdict = down("proxy", f"not running: {why}", every, case="proxy-connection")
        if seen.last_failure and seen.log:
            verdict = replace(verdict, advice=f"read {seen.log}, then: lumen-proxy start")
    elif seen.condition in {"booting", "draining"}:
        verdict = down("proxy", f"{seen.state} (pid {seen.pid})", every, advice=LATER)
    elif seen.condition == "silent" or health is None or health.status != OK:
        said = f"running (pid {seen.pid or 'not known'}), but does not answer"
        verdict = down("proxy", said, every, case="proxy-connection", advice="lumen-proxy restart")
    else:
        verdict = _on_serving(every, answers, deep)
    return replace(verdict, facts=_facts(seen, answers.get("metrics")) | verdict.facts).on_port(settings)


def _facts(seen: Seen, metrics: Call | None) -> Facts:
    names = ("pid", "worker_pid", "instance", "restarts", "generation", "uptime_s", "owner", "last_failure")
    facts = {name: getattr(seen, name) for name in names} | {"breaker": _breaker(metrics)}
    return {name: value for name, value in facts.items() if value is not None}


def _on_serving(every: tuple[Call, ...], answers: dict[str, Call], deep: Call | None) -> Probe:
    ready = answers.get("ready")
    if ready and ready.status != OK:
        code = _code(ready)
        advice = "the breaker closes by itself when the gateway works again" if code == "circuit_open" else LATER
        return down("proxy", f"running, but not ready: {code}", every, advice=advice)
    if deep is None:
        return Probe("proxy", "up", "running", every)
    if deep.status != OK:
        advice = "fix the channel that is down"
        if deep.status == UNAUTHORIZED:
            advice = "set PROXY_API_KEY to the key that the proxy was started with"
        elif deep.trouble == "timeout":
            advice = "check again with a larger --within, or fix the channel that is down"
        return down("proxy", f"running, but chat gives: {_code(deep)}", every, advice=advice)
    told = deep.json().get("lumen_metadata") or {}
    persona = (told.get("persona") or {}).get("name")
    return Probe("proxy", "up", "answers", every, facts=answer_facts(persona, told.get("sources")))


def answer_facts(persona: object, sources: object) -> Facts:
    """What an answer says about itself, as far as it does."""
    return {name: value for name, value in (("persona", persona), ("sources", sources)) if value}


def _code(call: Call) -> object:
    """Why an answer is no good one: its error's code, what the network did, or its status."""
    error = call.json().get("error")
    code = error.get("code") if isinstance(error, dict) else None
    return code or TROUBLES.get(call.trouble or "", call.status)


def _is_of_the_old_proxy(call: Call) -> bool:
    """By its error, or by its name: some of its answers are fine, and it is not asked for a chat to see another."""
    return call.json().get("service") == OLD_SERVICE or _speaks_of_timestamp(call)


def _said_by_the_old_proxy(health: Call | None) -> str:
    named = health is not None and health.json().get("service") == OLD_SERVICE
    return f"its name is {OLD_SERVICE}" if named else "500, about a timestamp"


def _speaks_of_timestamp(call: Call) -> bool:
    return call.status == SERVER_ERROR and b"timestamp" in call.body.lower()


def _breaker(metrics: Call | None) -> str | None:
    """From the page for Prometheus; None if it cannot be read."""
    if metrics is None or metrics.status != OK:
        return None
    lines = dict(line.rpartition(b" ")[::2] for line in metrics.body.split(b"\n"))
    states = {b"lumen_breaker_open": "open", b"lumen_breaker_half_open": "half open"}
    if not states.keys() <= lines.keys():
        return None
    return next((word for name, word in states.items() if lines[name] != b"0.0"), "closed")
