"""What a watchdog must not take for a hang: load, busy cores, slow clients, suspended processes, steps of the clock."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import threading
import time
from contextlib import ExitStack
from http.client import HTTPException

from faulty_proxy import Gateway, MeasuredProxy, busy_cores

SLOW_S = 5.0  # the slow gateway, in the episode that needs it
CLIENTS = 8
SLOW_CLIENTS = 900  # the worker accepts 1,000 connections
LARGE_BYTES = 1_000_000  # below LUMEN_MAX_BODY_BYTES


class Episodes:
    """What a watchdog must not take for a hang; each episode lasts longer than the limit."""

    def __init__(self, it: MeasuredProxy, worker: int, watchdog_s: float, chance: random.Random) -> None:
        self.it, self.both, self.worker, self.long_s = it, (it.pid, worker), worker, 2 * watchdog_s
        self.chance = chance

    def pause(self, seconds: float | None = None) -> None:
        """Let time pass."""
        threading.Event().wait(self.long_s if seconds is None else seconds)

    def clients(self, body: bytes) -> None:
        """Clients that ask without a pause."""
        end = time.monotonic() + self.long_s

        def ask() -> None:
            while time.monotonic() < end:
                with contextlib.suppress(OSError, HTTPException):
                    self.it.ask("POST", "/v1/chat/completions", body)

        askers = [threading.Thread(target=ask) for _ in range(CLIENTS)]
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join()

    def load(self, text: str = "안녕하세요") -> None:
        """Short questions."""
        self.clients(json.dumps({"messages": [{"role": "user", "content": text}]}).encode())

    def large_bodies(self) -> None:
        """Bodies of a megabyte that are parsed whole."""
        with busy_cores():
            self.load("x" * LARGE_BYTES)

    def busy(self) -> None:
        """Load while each core is busy."""
        with busy_cores():
            self.load()

    def compute(self) -> None:
        """Eight threads of the worker compute."""
        self.it.fault(f"compute {self.long_s}", self.worker)
        self.load()

    def slow_gateway(self) -> None:
        """Every thread that may wait for the gateway waits."""
        Gateway.delay_s = SLOW_S
        self.load()
        Gateway.delay_s = 0.0

    def connections(self) -> None:
        """Connections that never send a request, up to the limit of the worker."""
        with ExitStack() as stack, contextlib.suppress(OSError):
            for _ in range(SLOW_CLIENTS):
                stack.enter_context(socket.create_connection(("127.0.0.1", self.it.port), timeout=1))
            self.load()

    def suspend(self) -> None:
        """Both processes are suspended, and then resumed in either order."""
        for pid in self.both:
            os.kill(pid, signal.SIGSTOP)
        self.pause()
        for pid in self.chance.sample(self.both, 2):
            os.kill(pid, signal.SIGCONT)
        self.pause()

    def stutter(self) -> None:
        """Both are suspended again and again, for about a tick."""
        for _ in range(8):
            for pid in self.both:
                os.kill(pid, signal.SIGSTOP)
            self.pause(self.long_s / 8)
            for pid in self.both:
                os.kill(pid, signal.SIGCONT)
            self.pause(self.long_s / 40)

    def clock(self) -> None:
        """The wall clock of both steps forward and back."""
        for shift_s in (86_400, -86_400, 0):
            self.it.fault(f"step {shift_s}", *self.both)
            self.pause()

    def no_journal(self) -> None:
        """The folder of the logs is a file for a while, as on a disk that takes no writes."""
        logs = self.it.folder / "logs"
        logs.rename(self.it.folder / "kept")
        logs.touch()
        self.load()
        logs.unlink()
        (self.it.folder / "kept").rename(logs)


ALL = (
    "load",
    "large_bodies",
    "busy",
    "compute",
    "slow_gateway",
    "connections",
    "suspend",
    "stutter",
    "clock",
    "no_journal",
)
