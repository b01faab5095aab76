"""Sends an alert when workers crash repeatedly. A short-lived child process sends it, not the supervisor.

The child may outlive the supervisor, which ends at once after it gives up. The event is the argument of the child; the
webhook addresses are secrets and are in its environment.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lumen_proxy import platform, safe_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lumen_proxy.config import Settings

COMMAND = safe_path.command("lumen_proxy.health.alerts")
CRASH_LOOP_EXITS = 3  # within the restart window: fewer may be a coincidence
COOL_DOWN_S = 300.0  # as between two alerts about a channel


class CrashAlarm:
    """Receives each event of the journal. It does nothing if no webhook is set."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._sent_at: float | None = None

    def receive(self, record: Mapping[str, Any]) -> None:
        """Send an alert if the event is a crash loop or a give-up."""
        if record["event"] == "started":  # the port is known only now if any free port was requested
            self._settings = replace(self._settings, port=record["port"])
        if not (self._settings.slack_webhook_url or self._settings.webhook_url):
            return
        if record["event"] == "gave_up":
            self._send("gave_up", f"{record['reason']}; gave up, the port is closed")
        elif record["event"] == "restart_scheduled" and record["deaths_in_window"] >= CRASH_LOOP_EXITS:
            if self._sent_at is not None and self._clock() - self._sent_at < COOL_DOWN_S:
                return
            self._sent_at = self._clock()
            self._send("crash_loop", f"{record['deaths_in_window']} workers died in a short time; still restarting")

    def _send(self, event: str, problem: str) -> None:
        fields = json.dumps({"event": event, "channel": "proxy", "name": "Local proxy", "said": problem})
        with contextlib.suppress(OSError):  # no process can be started; the journal still has the event
            child = subprocess.Popen(
                [*COMMAND, fields],
                env={**os.environ, **self._settings.environ()},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                **platform.outliving_options(),
            )
            with contextlib.suppress(RuntimeError):  # no thread can be started; the next Popen reaps the child
                threading.Thread(target=child.wait, daemon=True).start()  # reaps the child
