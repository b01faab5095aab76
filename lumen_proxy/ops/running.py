"""What the journal tells of the instance that runs now: how it was started."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from lumen_proxy import journal
from lumen_proxy.ops import logs
from lumen_proxy.supervisor import state

if TYPE_CHECKING:
    from lumen_proxy.config import Settings


def started(settings: Settings) -> dict[str, Any]:
    """Its `started`: `gateway_url`, `cloud_ai_url`, `sandbox` and more; empty if none runs, or none is found."""
    known = state.holder(settings.state_dir, settings.port)
    if known is None:
        return {}
    for path in reversed(logs.rotations(journal.path_of(settings.log_dir, settings.port))):
        for line in logs.lines_of(path):
            if known.instance.encode() in line and b'"started"' in line:
                event: dict[str, Any] = json.loads(line)
                return event if {"gateway_url", "cloud_ai_url"} <= event.keys() else {}
    return {}
