"""Ask all channels at once, under one deadline. Free by default: only `deep` makes a chat call."""

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
from lumen_proxy.health import cloud_verdicts, verdicts
from lumen_proxy.health.http_probe import Call, Trouble, ask, at_once
from lumen_proxy.health.verdicts import Probe
from lumen_proxy.known_issues import CASES
from lumen_proxy.masking import without_query
from lumen_proxy.net.failure import ConnectFailed
from lumen_proxy.net.reachability import try_addresses
from lumen_proxy.supervisor import listener, preflight

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lumen_proxy.config import Settings
    from lumen_proxy.control.instances import Seen

    Result = Call | Probe | str | None
    Job = Callable[[], Result]

QUESTION = "안녕하세요"  # the same each time, so that the gateway may answer it from its cache
MARGIN = 0.9  # of the deadline: what is asked gives up a little earlier than what waits for it
RED_ROWS = {"venv": "venv-python-missing", "python": "venv-python-missing", "flask": "flask-missing"}


def probe(  # noqa: PLR0913 - what a look is made of
    settings: Settings,
    *,
    within_s: float,
    deep: bool = False,
    thorough: bool = True,
    venv: Path | None = None,
    environ: Mapping[str, str] = os.environ,
) -> tuple[Probe, ...]:
    """Ask the proxy, Cloud AI and the gateway, and look at `venv` if given; all of it within `within_s` seconds.

    `environ` decides how the cloud channels are reached. Not `thorough` asks each of them one question only: they
    limit clients to some 30 a minute.
    """
    ask_s = within_s * MARGIN
    proxy = _Proxy(settings, ask_s, deep=deep and settings.gateway_url != parsers.NONE)
    jobs: dict[str, Job] = {"proxy": proxy.look}
    chats = {"cloud_ai": settings.cloud_ai_url}
    if settings.gateway_url != parsers.NONE:
        chats["gateway"] = settings.gateway_url + "/chat"
    chats = {channel: url for channel, url in chats.items() if url != parsers.NONE}
    connect_s = settings.connect_timeout_s
    question = partial(ask, within_s=ask_s, connect_s=connect_s, environ=environ)
    for channel, url in chats.items():
        headers = {"X-API-Key": settings.cloud_ai_api_key} if channel == "cloud_ai" else {}
        jobs[f"{channel} chat"] = partial(question, "GET", url, headers=headers)
        if thorough:
            jobs[f"{channel} health"] = partial(question, "GET", urljoin(url, "/health"))
            jobs[f"{channel} addresses"] = partial(_dead_addresses, url, ask_s, connect_s, environ)
        if deep:
            body = {"message": QUESTION}
            size = settings.max_response_bytes
            jobs[f"{channel} deep"] = partial(question, "POST", url, headers=headers, body=body, max_bytes=size)
    if venv:
        jobs["environment"] = partial(_environment, venv)
    found = at_once(jobs, within_s=within_s)
    clouds = tuple(_cloud(channel, settings, chats, found) for channel in ("cloud_ai", "gateway"))
    environment = (found.get("environment", _late("environment")),) if venv else ()
    probes = (found.get("proxy", proxy.so_far()), *clouds, *environment)
    return tuple(probe.on_port(settings) for probe in probes if isinstance(probe, Probe))


def _late(channel: str, *calls: Call) -> Probe:
    return verdicts.down(channel, verdicts.TROUBLES["timeout"], calls, advice="check again with a larger --within")


def _dead_addresses(url: str, within_s: float, connect_s: float, environ: Mapping[str, str]) -> str | None:
    """A note about addresses of a channel that accept no connections, if there are some beside good ones."""
    try:
        host, found, dead = try_addresses(url, within_s=within_s, connect_s=connect_s, environ=environ)
    except (Fatal, ConnectFailed):
        return None  # the other questions say so, too
    if not dead or len(dead) == len(found):
        return None
    remedy = "calls use the others; have the address corrected in DNS, or the route to it"
    return f"{host} resolves to {' and '.join(found)}; {' and '.join(dead)} accepts no connections; {remedy}"


def _cloud(channel: str, settings: Settings, chats: dict[str, str], found: dict[str, Result]) -> Probe:
    if channel not in chats:
        unset = f"switched off ({verdicts.VARIABLES[channel]}=none)"
        return Probe(channel, "unset", "the sandbox is not running" if settings.sandboxed else unset)
    chat, health, deep = (found.get(f"{channel} {what}") for what in ("chat", "health", "deep"))
    calls = [call if isinstance(call, Call) else None for call in (chat, health, deep)]
    asked = calls[0] or Call("GET", without_query(chats[channel]), trouble="timeout")
    verdict = cloud_verdicts.on_cloud(channel, asked, calls[1], calls[2])
    note = found.get(f"{channel} addresses")
    return replace(verdict, notes=(note,)) if isinstance(note, str) else verdict


@dataclass
class _Proxy:
    """What is asked of the proxy, and what has come of it so far: the deadline may fall at any moment."""

    settings: Settings
    within_s: float
    deep: bool
    seen: Seen | None = None
    calls: list[Call] = field(default_factory=list)

    def look(self) -> Probe:
        """Ask everything. The key goes only to the instance that holds our lock, and only where it is needed."""
        self.seen = instances.look(self.settings, patience_s=self.within_s / 2)
        page_s = self.within_s / 4
        if self.seen.condition not in {"running", "another", "stranger"}:
            trouble: Trouble = "refused" if self.seen.condition == "stopped" else "timeout"
            self.calls.append(Call("GET", f"{self.seen.url}/health", trouble=trouble))
            return self.so_far()
        self._ask("GET", "health", page_s)
        if self.seen.condition == "running":
            key = {"Authorization": f"Bearer {self.settings.api_key}"} if self.settings.api_key else {}
            self._ask("GET", "ready", page_s)
            self._ask("GET", "metrics", page_s, key)
            if self.deep:
                body = {"model": "lumen-gateway", "messages": [{"role": "user", "content": QUESTION}]}
                self._ask("POST", "v1/chat/completions", self.within_s, key, body)
        return self.so_far()

    def _ask(
        self, method: str, page: str, within_s: float, headers: dict[str, str] | None = None, body: object = None
    ) -> None:
        url = f"{self.seen.url if self.seen else ''}/{page}"
        self.calls.append(Call(method, url, trouble="timeout"))  # until there is an answer
        self.calls[-1] = ask(method, url, within_s=within_s, headers=headers, body=body)

    def so_far(self) -> Probe:
        """The verdict on what has been seen by now."""
        calls = tuple(self.calls)
        if self.seen is None or not calls:
            url = listener.url_of(self.settings.host, self.settings.port)
            return _late("proxy", Call("GET", f"{url}/health", trouble="timeout"))
        chat = next((call for call in calls if call.method == "POST"), None)
        return verdicts.on_proxy(self.seen, self.settings, calls[: len(calls) - bool(chat)], deep=chat)


def own_environment() -> Path | None:
    """The virtual environment that runs us, if any."""
    return None if sys.prefix == sys.base_prefix else Path(sys.prefix)


def _environment(venv: Path) -> Probe:
    report = preflight.examine(venv)
    failed = [check for check in report.checks if not check.ok]
    if not failed:
        return Probe("environment", "up", str(venv))
    red = failed[0]
    case = RED_ROWS.get(red.id)
    related = failed if red.id not in {"venv", "python"} else [red]  # the others follow from these two
    problem = "; ".join(check.problem or check.id for check in related)
    said = f"{CASES[case].title}: {problem}" if case else problem
    verdict = verdicts.down("environment", said, (), case=case or "", advice=red.hint or CASES["flask-missing"].do)
    return replace(verdict, see=f"lumen-proxy check --venv {venv}")
