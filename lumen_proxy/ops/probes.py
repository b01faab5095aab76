"""Ask all channels at once, under one deadline. Free by default: only `deep` makes a chat call."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from lumen_proxy import values
from lumen_proxy.ops import control, verdicts
from lumen_proxy.ops.asking import Call, Trouble, ask, at_once, shown
from lumen_proxy.ops.cases import CASES
from lumen_proxy.ops.verdicts import Probe
from lumen_proxy.supervisor import preflight

if TYPE_CHECKING:
    from collections.abc import Callable

    from lumen_proxy.config import Settings

    Job = Callable[[], "Call | Probe"]

QUESTION = "안녕하세요"  # the same each time, so that the gateway may answer it from its cache
MARGIN = 0.9  # of the deadline: what is asked gives up a little earlier than what waits for it
RED_ROWS = {"venv": "venv-python-missing", "python": "venv-python-missing", "flask": "flask-missing"}


def probe(
    settings: Settings, *, within_s: float, deep: bool = False, thorough: bool = True, venv: Path | None = None
) -> tuple[Probe, ...]:
    """Ask the proxy, Cloud AI and the gateway, and look at `venv` if given; all of it within `within_s` seconds.

    Not `thorough` asks each cloud channel one question only: they limit clients to some 30 a minute.
    """
    ask_s = within_s * MARGIN
    jobs: dict[str, Job] = {"proxy": partial(_proxy, settings, ask_s, deep=deep)}
    chats = {"cloud_ai": settings.cloud_ai_url, "gateway": settings.gateway_url + "/chat"}
    chats = {channel: url for channel, url in chats.items() if url != values.NONE}
    for channel, url in chats.items():
        headers = {"X-API-Key": settings.cloud_ai_api_key} if channel == "cloud_ai" else {}
        jobs[f"{channel} chat"] = partial(ask, "GET", url, within_s=ask_s, headers=headers)
        if thorough:
            jobs[f"{channel} health"] = partial(ask, "GET", urljoin(url, "/health"), within_s=ask_s)
        if deep:
            body = {"message": QUESTION}
            jobs[f"{channel} deep"] = partial(ask, "POST", url, within_s=ask_s, headers=headers, body=body)
    if venv:
        jobs["environment"] = partial(_environment, venv)
    found = at_once(jobs, within_s=within_s)
    clouds = tuple(_cloud(channel, chats, found) for channel in ("cloud_ai", "gateway"))
    environment = (_found(found, "environment"),) if venv else ()
    return (_found(found, "proxy"), *clouds, *environment)


def _found(found: dict[str, Call | Probe], channel: str) -> Probe:
    verdict = found.get(channel)
    if isinstance(verdict, Probe):
        return verdict
    return verdicts.down(channel, verdicts.TROUBLES["timeout"], (), advice="look again with a larger --within")


def _cloud(channel: str, chats: dict[str, str], found: dict[str, Call | Probe]) -> Probe:
    if channel not in chats:
        return Probe(channel, "unset", f"not configured ({verdicts.VARIABLES[channel]})")
    chat, health, deep = (found.get(f"{channel} {what}") for what in ("chat", "health", "deep"))
    calls = [call if isinstance(call, Call) else None for call in (chat, health, deep)]
    return verdicts.on_cloud(
        channel, calls[0] or Call("GET", shown(chats[channel]), trouble="timeout"), calls[1], calls[2]
    )


def _proxy(settings: Settings, within_s: float, *, deep: bool) -> Probe:
    seen = control.look(settings, patience_s=within_s / 2)
    if seen.condition in {"stopped", "silent"}:
        trouble: Trouble = "refused" if seen.condition == "stopped" else "timeout"
        return verdicts.on_proxy(seen, settings, (Call("GET", f"{seen.url}/health", trouble=trouble),))
    headers = {"Authorization": f"Bearer {settings.api_key}" if settings.api_key else None}
    pages = ("health", "ready", "metrics") if seen.condition == "running" else ("health",)
    calls = tuple(ask("GET", f"{seen.url}/{page}", within_s=within_s / 4, headers=headers) for page in pages)
    chat = None
    if deep and calls[0].json():  # a stranger that does not even speak JSON is not asked
        body = {"model": "lumen-gateway", "messages": [{"role": "user", "content": QUESTION}]}
        chat = ask("POST", f"{seen.url}/v1/chat/completions", within_s=within_s, headers=headers, body=body)
    return verdicts.on_proxy(seen, settings, calls, deep=chat)


def own_environment() -> Path | None:
    """The virtual environment that runs us, if any."""
    return None if sys.prefix == sys.base_prefix else Path(sys.prefix)


def _environment(venv: Path) -> Probe:
    report = preflight.examine(venv)
    red = next((check for check in report.checks if not check.ok), None)
    if red is None:
        return Probe("environment", "up", str(venv))
    case = RED_ROWS.get(red.id)
    problem = red.problem or red.id
    said = f"{CASES[case].title}: {problem}" if case else problem
    return verdicts.down("environment", said, (), case=case or "", advice=red.hint or CASES["flask-missing"].do)
