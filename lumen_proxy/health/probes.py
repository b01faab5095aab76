"""Probes all channels at once, with one deadline. Probes are free; only `deep` sends chat requests."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from lumen_proxy.config import parsers
from lumen_proxy.control import instances
from lumen_proxy.errors import Fatal
from lumen_proxy.health import cloud_verdicts, preflight, verdicts
from lumen_proxy.health.http_probe import ProbeResult, Trouble, run_all, send_probe
from lumen_proxy.health.known_issues import USER_ISSUES
from lumen_proxy.health.verdicts import ChannelStatus
from lumen_proxy.masking import without_query
from lumen_proxy.net.failure import ConnectFailed
from lumen_proxy.net.reachability import try_addresses
from lumen_proxy.supervisor import listener

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lumen_proxy.config import Settings
    from lumen_proxy.control.instances import PortStatus

    Result = ProbeResult | ChannelStatus | str | None
    Job = Callable[[], Result]

QUESTION = "안녕하세요"  # always the same, so that the gateway can answer from its cache
MARGIN = 0.9  # of the deadline: a probe ends a little earlier than the wait for it
ISSUE_BY_CHECK = {"venv": "venv-python-missing", "python": "venv-python-missing", "flask": "flask-missing"}


def probe_all(  # noqa: PLR0913 - what is probed, and how
    settings: Settings,
    *,
    within_s: float,
    deep: bool = False,
    thorough: bool = True,
    venv: Path | None = None,
    environ: Mapping[str, str] = os.environ,
) -> tuple[ChannelStatus, ...]:
    """Probe the proxy, Cloud AI and the gateway, and check `venv` if given, within `within_s` seconds.

    `environ` decides how the cloud channels are reached. If not `thorough`, each of them gets one request only: they
    limit clients to about 30 requests a minute.
    """
    probe_s = within_s * MARGIN
    proxy = _ProxyProbe(settings, probe_s, deep=deep and settings.gateway_url != parsers.NONE)
    jobs: dict[str, Job] = {"proxy": proxy.run}
    chats = {"cloud_ai": settings.cloud_ai_url}
    if settings.gateway_url != parsers.NONE:
        chats["gateway"] = settings.gateway_url + "/chat"
    chats = {channel: url for channel, url in chats.items() if url != parsers.NONE}
    connect_s = settings.connect_timeout_s
    send = partial(send_probe, within_s=probe_s, connect_s=connect_s, environ=environ)
    for channel, url in chats.items():
        headers = {"X-API-Key": settings.cloud_ai_api_key} if channel == "cloud_ai" else {}
        jobs[f"{channel} chat"] = partial(send, "GET", url, headers=headers)
        if thorough:
            jobs[f"{channel} health"] = partial(send, "GET", urljoin(url, "/health"))
            jobs[f"{channel} addresses"] = partial(_note_dead_addresses, url, probe_s, connect_s, environ)
        if deep:
            body = {"message": QUESTION}
            size = settings.max_response_bytes
            jobs[f"{channel} deep"] = partial(send, "POST", url, headers=headers, body=body, max_bytes=size)
    if venv:
        jobs["environment"] = partial(_judge_environment, venv)
    results = run_all(jobs, within_s=within_s)
    clouds = tuple(_judge_cloud(channel, settings, chats, results) for channel in ("cloud_ai", "gateway"))
    environment = (results.get("environment", _make_late("environment")),) if venv else ()
    channels = (results.get("proxy", proxy.judge()), *clouds, *environment)
    return tuple(status.on_port(settings) for status in channels if isinstance(status, ChannelStatus))


def _make_late(channel: str, *results: ProbeResult) -> ChannelStatus:
    return verdicts.make_down(
        channel, verdicts.TROUBLE_TEXTS["timeout"], results, advice="check again with a larger --within"
    )


def _note_dead_addresses(url: str, within_s: float, connect_s: float, environ: Mapping[str, str]) -> str | None:
    """A note about addresses of a channel that accept no connections, if other addresses do."""
    try:
        host, found, dead = try_addresses(url, within_s=within_s, connect_s=connect_s, environ=environ)
    except (Fatal, ConnectFailed):
        return None  # the other probes report this error
    if not dead or len(dead) == len(found):
        return None
    remedy = "calls use the others; have the address corrected in DNS, or the route to it"
    return f"{host} resolves to {' and '.join(found)}; {' and '.join(dead)} accepts no connections; {remedy}"


def _judge_cloud(channel: str, settings: Settings, chats: dict[str, str], results: dict[str, Result]) -> ChannelStatus:
    if channel not in chats:
        unset = f"switched off ({verdicts.VARIABLES[channel]}=none)"
        return ChannelStatus(channel, "unset", "the sandbox is not running" if settings.sandboxed else unset)
    chat, health, deep = (results.get(f"{channel} {what}") for what in ("chat", "health", "deep"))
    parts = [part if isinstance(part, ProbeResult) else None for part in (chat, health, deep)]
    first = parts[0] or ProbeResult("GET", without_query(chats[channel]), trouble="timeout")
    verdict = cloud_verdicts.judge_cloud(channel, first, parts[1], parts[2])
    note = results.get(f"{channel} addresses")
    return replace(verdict, notes=(note,)) if isinstance(note, str) else verdict


@dataclass
class _ProxyProbe:
    """Probes the proxy and stores the results so far, because the deadline may pass at any moment."""

    settings: Settings
    within_s: float
    deep: bool
    port_status: PortStatus | None = None
    results: list[ProbeResult] = field(default_factory=list)

    def run(self) -> ChannelStatus:
        """Send all requests. Only the instance that holds the lock gets the key, and only where it is required."""
        status = self.port_status = instances.inspect(self.settings, within_s=self.within_s / 2)
        page_s = self.within_s / 4
        if status.condition not in {"running", "another", "stranger"}:
            trouble: Trouble = "refused" if status.condition == "stopped" else "timeout"
            self.results.append(ProbeResult("GET", f"{status.url}/health", trouble=trouble))
            return self.judge()
        self._send("GET", "health", page_s)
        if status.condition == "running":
            key = {"Authorization": f"Bearer {self.settings.api_key}"} if self.settings.api_key else {}
            self._send("GET", "ready", page_s)
            self._send("GET", "metrics", page_s, key)
            if self.deep:
                body = {"model": "lumen-gateway", "messages": [{"role": "user", "content": QUESTION}]}
                self._send("POST", "v1/chat/completions", self.within_s, key, body)
        return self.judge()

    def _send(
        self, method: str, page: str, within_s: float, headers: dict[str, str] | None = None, body: object = None
    ) -> None:
        url = f"{self.port_status.url if self.port_status else ''}/{page}"
        self.results.append(ProbeResult(method, url, trouble="timeout"))  # replaced by the response
        self.results[-1] = send_probe(method, url, within_s=within_s, headers=headers, body=body)

    def judge(self) -> ChannelStatus:
        """The status by the results so far."""
        results = tuple(self.results)
        if self.port_status is None or not results:
            url = listener.url_of(self.settings.host, self.settings.port)
            return _make_late("proxy", ProbeResult("GET", f"{url}/health", trouble="timeout"))
        chat = next((result for result in results if result.method == "POST"), None)
        return verdicts.judge_proxy(self.port_status, self.settings, results[: len(results) - bool(chat)], deep=chat)


def own_environment() -> Path | None:
    """The virtual environment of this process, if any."""
    return None if sys.prefix == sys.base_prefix else Path(sys.prefix)


def _judge_environment(venv: Path) -> ChannelStatus:
    report = preflight.check_environment(venv)
    failed = [check for check in report.checks if not check.ok]
    if not failed:
        return ChannelStatus("environment", "up", str(venv))
    first = failed[0]
    case = ISSUE_BY_CHECK.get(first.id)
    related = failed if first.id not in {"venv", "python"} else [first]  # these two are the cause of the others
    problem = "; ".join(check.problem or check.id for check in related)
    said = f"{USER_ISSUES[case].title}: {problem}" if case else problem
    verdict = verdicts.make_down(
        "environment", said, (), case=case or "", advice=first.hint or USER_ISSUES["flask-missing"].fix
    )
    return replace(verdict, see=f"lumen-proxy check --venv {venv}")
