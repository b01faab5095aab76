"""Squatters: processes that hold a port which a server needs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import pytest

from lumen_conformance.http.client import call
from lumen_conformance.processes.child_process import ChildProcess, ProcessFactory
from lumen_conformance.registry.measurement import record_evidence
from lumen_conformance.run import Run
from lumen_conformance.waiting import until

SquatterKind = Literal[
    "banner",  # an HTTP server that answers every request with its banner
    "silent",  # accepts and never answers
    "wildcard",  # a banner on 0.0.0.0
    "ipv6",  # a banner on ::1 only
    "shared",  # listens with SO_REUSEPORT, in a parent and its child, and never accepts (not on Windows)
    "not_listening",  # bound with SO_REUSEADDR, never listens
    "lumen_stranger",  # answers /health as another Lumen proxy does
]

SCRIPT = Path(__file__).with_name("squatter_program.py")
HOSTS: dict[SquatterKind, str] = {"ipv6": "[::1]"}
READY_S = 20.0  # Python starts in 0.05 s here; the rest is for a machine under load


class Squatter(ChildProcess):
    """One squatter. Its ``banner`` has its PID, so no other process has the same."""

    def __init__(self, run: Run, kind: SquatterKind, port: int, folder: Path, fault: Mapping[str, str]) -> None:
        self.kind = kind
        ready = folder / "port"
        argv = [sys.executable, str(SCRIPT), kind, str(port), str(ready)]
        super().__init__(run, f"squatter {kind}", argv, {**os.environ, **fault}, folder)
        self._ready = ready
        self.port = port

    @property
    def url(self) -> str:
        """Its origin."""
        return f"http://{HOSTS.get(self.kind, '127.0.0.1')}:{self.port}"

    @property
    def banner(self) -> str:
        """The text that it answers."""
        return f"squatter {self.kind} {self.pid}"

    def wait_ready(self) -> Squatter:
        """Wait until it holds its port."""
        self.port = int(
            until(
                f"{self.kind} squatter holds a port",
                self._ready.read_text,
                within_s=READY_S,
                give_up=self.end_reason,
                pause=self._pause,
            )
        )
        return self

    def is_running(self) -> bool:
        """Return whether this process still runs."""
        return self.ref.state() == "running"

    def answer(self) -> str | None:
        """Return what it answers; None when it does not answer."""
        capture = call(self.url, "GET", "/", timeout_s=5.0)
        return capture.text if capture.status == 200 else None

    def stop(self) -> None:
        """End it, and wait for its end."""
        self.end()


class Squatters(ProcessFactory):
    """A factory: call it to start a squatter.

    ``fault``  environment variables that give them a fault, for tests of the suite itself
    """

    fault: Mapping[str, str] = MappingProxyType({})

    def __call__(self, kind: SquatterKind = "banner", *, port: int = 0) -> Squatter:
        """Start a squatter and wait until it holds `port` (0: any free one)."""
        return self.keep(Squatter(self.run_tags, kind, port, self.next_folder(), self.fault)).wait_ready()


@pytest.fixture
def squat(request: pytest.FixtureRequest, run: Run, tmp_path: Path) -> Iterator[Squatters]:
    """Start squatters that end with the test."""
    with Squatters(run, tmp_path / "squat", partial(record_evidence, request.node)) as squatters:
        yield squatters
