"""Which addresses count: those of this command, unless the running proxy plays in its sandbox."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lumen_proxy import journal
from lumen_proxy.ops import logs
from lumen_proxy.ops.asking import shown
from lumen_proxy.supervisor import state

if TYPE_CHECKING:
    from lumen_proxy.config import Settings


def in_use(settings: Settings) -> tuple[Settings, tuple[str, ...]]:
    """The settings to probe with, and what is worth a note. The journal tells what a running proxy was started with."""
    begun = _started(settings)
    if not begun:
        return settings, ()
    gateway_url, cloud_ai_url = begun["gateway_url"], begun["cloud_ai_url"]
    if begun.get("sandbox"):
        note = "the running proxy plays in its sandbox: Cloud AI and gateway are embedded, no network is used"
        return replace(settings, gateway_url=gateway_url, cloud_ai_url=cloud_ai_url), (note,)
    if gateway_url != settings.gateway_url:
        asked = f"the running proxy asks {shown(gateway_url)}, this command asks {shown(settings.gateway_url)}"
        return settings, (f"{asked}; to make them one: lumen-proxy restart",)
    return settings, ()


def _started(settings: Settings) -> dict[str, Any]:
    """The journal's `started` of the instance that runs now; empty if there is none."""
    known = state.read(state.paths(settings.state_dir, settings.port)[1])
    if known is None or not state.is_alive(known):
        return {}
    for path in reversed(logs.rotations(journal.path_of(settings.log_dir, settings.port))):
        for line in logs.lines_of(path):
            if known.instance.encode() in line and b'"started"' in line:
                event: dict[str, Any] = json.loads(line)
                return event if {"gateway_url", "cloud_ai_url"} <= event.keys() else {}
    return {}
