"""Calls for help when workers die again and again: by a short-lived child, never by the supervisor itself.

The child outlives us if need be, for after a give-up we end at once. It is told what happened by its
argument, and where to send it by its environment, where secrets are.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any

from lumen_proxy import platform, safe_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lumen_proxy.config import Settings

ALARM = safe_path.command("lumen_proxy.health.alerts")  # by name: people's tools are a floor above
CRASH_LOOP_DEATHS = 3  # within the restart window: one is an accident, two a coincidence
COOL_DOWN_S = 300.0  # as between two alerts about a channel


class Alarm:
    """Hears every event of the journal. Does nothing where no webhook is set."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._told_at: float | None = None

    def hear(self, record: Mapping[str, Any]) -> None:
        """Send what is worth it."""
        if not (self._settings.slack_webhook_url or self._settings.webhook_url):
            return
        if record["event"] == "gave_up":
            said = f"{record['deaths']} workers died within {record['window_s']:g} s; gave up, the port is closed"
            self._send("gave_up", said)
        elif record["event"] == "restart_scheduled" and record["deaths_in_window"] >= CRASH_LOOP_DEATHS:
            if self._told_at is not None and self._clock() - self._told_at < COOL_DOWN_S:
                return
            self._told_at = self._clock()
            self._send("crash_loop", f"{record['deaths_in_window']} workers died in a short time; still trying")

    def _send(self, event: str, said: str) -> None:
        facts = json.dumps({"event": event, "channel": "proxy", "name": "Local proxy", "said": said})
        with contextlib.suppress(OSError):  # no process can be started: the journal has it all the same
            child = subprocess.Popen(
                [*ALARM, facts],
                env={**os.environ, **self._settings.environ()},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                **platform.outliving_options(),
            )
            threading.Thread(target=child.wait, daemon=True).start()  # so that it leaves no zombie
