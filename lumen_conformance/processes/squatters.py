"""Strangers on our port: real processes that hold it, by kind."""

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
    "banner",  # an HTTP server that answers everything with its banner
    "silent",  # accepts and never answers
    "wildcard",  # a banner on 0.0.0.0
    "ipv6",  # a banner on ::1 only
    "not_listening",  # bound with SO_REUSEADDR, never listens
    "lumen_stranger",  # answers /health as somebody else's proxy would
]

SCRIPT = Path(__file__).with_name("squatter_program.py")
HOSTS: dict[SquatterKind, str] = {"ipv6": "[::1]"}
READY_S = 20.0  # Python starts in 0.05 s here; the rest is for a machine under load


class Squatter(ChildProcess):
    """One squatter: ``kind``, ``port``, ``pid`` and, where it answers, its own ``banner``."""

    def __init__(self, run: Run, kind: SquatterKind, port: int, folder: Path, fault: Mapping[str, str]) -> None:
        self.kind = kind
        ready = folder / "port"
        argv = [sys.executable, str(SCRIPT), kind, str(port), str(ready)]
        super().__init__(run, f"squatter {kind}", argv, {**os.environ, **fault}, folder)
        self._ready = ready
        self.port = port

    @property
    def url(self) -> str:
        """Where it can be asked."""
        return f"http://{HOSTS.get(self.kind, '127.0.0.1')}:{self.port}"

    @property
    def banner(self) -> str:
        """What it answers; nobody else has this PID."""
        return f"squatter {self.kind} {self.pid}"

    def settle(self) -> Squatter:
        """Wait until it holds its port."""
        self.port = int(
            until(
                f"{self.kind} squatter holds a port",
                self._ready.read_text,
                within_s=READY_S,
                alive=self.dead,
                pause=self._pause,
            )
        )
        return self

    def alive(self) -> bool:
        """Whether this very process still runs."""
        return self.ref.state() == "running"

    def answer(self) -> str | None:
        """What it says when asked; None when it says nothing."""
        seen = call(self.url, "GET", "/", timeout_s=5.0)
        return seen.text if seen.status == 200 else None

    def stop(self) -> None:
        """End it, and wait until it is gone."""
        self.end()


class Squatters(ProcessFactory):
    """The factory of squatters: call it to have a port taken.

    ``fault``  the variables that sabotage them, for tests of the suite itself
    """

    fault: Mapping[str, str] = MappingProxyType({})

    def __call__(self, kind: SquatterKind = "banner", *, port: int = 0) -> Squatter:
        """A squatter that holds `port` (0: any free one) when this returns."""
        return self.keep(Squatter(self.run_tags, kind, port, self.next_folder(), self.fault)).settle()


@pytest.fixture
def squat(request: pytest.FixtureRequest, run: Run, tmp_path: Path) -> Iterator[Squatters]:
    """Take ports; the squatters end with the test."""
    with Squatters(run, tmp_path / "squat", partial(record_evidence, request.node)) as squatters:
        yield squatters
