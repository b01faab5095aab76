"""The identity of a run: its id, its xdist worker, its folder, and the tags of the processes that it starts.

The environment of each child process has a tag ``<run>/<worker>/<number>``. Its own children inherit the tag, so a
daemon that has left the process tree is found, and no other process is mistaken for one of this run.
"""

from __future__ import annotations

import gc
import itertools
import os
import shlex
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from lumen_conformance.inject.lumen_guard import FOREIGN
from lumen_conformance.ports import WORKERS

TAG = "E2E_LUMEN"  # not LUMEN_…: the product warns about unknown variables with this prefix
ALONE = "main"  # the name of the worker without xdist
UNDECLARED = 0  # the number of processes that a test starts without a fixture


@dataclass(frozen=True)
class Run:
    """One invocation of pytest, as one of its processes has it.

    ``id``      unique for each invocation, the same in all xdist workers
    ``worker``  ``gw0``, ``gw1``, …; ``main`` without xdist
    ``folder``  the folder of the evidence, the same for all workers; empty at the start
    ``caller``  the environment in which pytest was called, before `isolation` cleans it
    """

    id: str
    worker: str
    folder: Path
    caller: Mapping[str, str] = field(default_factory=dict, repr=False)  # may contain keys
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(UNDECLARED + 1))
    _open: dict[str, str] = field(default_factory=dict)
    _pids: set[int] = field(default_factory=set)
    _ports: set[int] = field(default_factory=set)

    def tag(self, number: int = UNDECLARED) -> str:
        """Return the tag of one launch of this worker."""
        return f"{self.id}/{self.worker}/{number}"

    def open_tag(self, label: str, *, foreign: bool = False) -> str:
        """Return a new tag. Until `close_tag`, processes with this tag are not leaks."""
        tag = self.tag(next(self._numbers)) + (FOREIGN if foreign else "")
        self._open[tag] = label
        return tag

    def close_tag(self, tag: str) -> None:
        """Make processes with this tag leaks from now on."""
        self._open.pop(tag, None)

    @property
    def open_tags(self) -> frozenset[str]:
        """The tags whose processes are not leaks."""
        return frozenset(self._open)

    def is_open(self, tag: str) -> bool:
        """Return whether processes with this tag are not leaks."""
        return tag in self._open

    @property
    def open_pids(self) -> set[int]:
        """The processes that fixtures have started, by PID: a process may overwrite its own tag."""
        return self._pids

    @property
    def open_ports(self) -> frozenset[int]:
        """The ports on which fixtures of this process listen; they are not leaks."""
        return frozenset(self._ports)

    @contextmanager
    def allow_ports(self, *urls: str) -> Iterator[None]:
        """Allow this process to listen on the ports of these URLs in the block, for a fixture of several tests."""
        ports = {urlsplit(url).port or 0 for url in urls}
        self._ports.update(ports)
        try:
            yield
        finally:
            self._ports.difference_update(ports)

    @property
    def guard_file(self) -> Path:
        """The file in which the guards of this worker and its children record what they block."""
        return self.folder / f"guard-{self.worker}.jsonl"


RUN = pytest.StashKey[Run]()


def run_of(config: pytest.Config) -> Run:
    """Return the run of this process; call it only after pytest has made its temporary folder."""
    if RUN not in config.stash:
        config.stash[RUN] = _run(config)
    return config.stash[RUN]


def _run(config: pytest.Config) -> Run:
    received = getattr(config, "workerinput", None)
    if received is not None:
        return Run(received["lumen_run"], received["workerid"], Path(received["lumen_folder"]), _caller(config))
    run_id = uuid.uuid4().hex[:12]
    base = config.getoption("evidence_dir")
    # pytest makes this folder for each invocation; it has a public name only in fixtures.
    parent = Path(base).resolve() if base else config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined] # noqa: SLF001
    folder = parent / f"evidence-{run_id}"
    folder.mkdir(parents=True)
    return Run(run_id, ALONE, folder, dict(os.environ))


def _caller(config: pytest.Config) -> dict[str, str]:
    """Return the environment of the caller: an xdist worker itself starts with a cleaned environment."""
    sent: list[tuple[bytes, bytes]] = config.workerinput["lumen_caller"]  # type: ignore[attr-defined]
    return {os.fsdecode(name): os.fsdecode(value) for name, value in sent}


def is_controller(config: pytest.Config) -> bool:
    """Return whether this process only distributes tests to xdist workers."""
    return not hasattr(config, "workerinput") and bool(
        config.getoption("dist", "no") != "no" and config.getoption("tx", None)
    )


def add_options(parser: pytest.Parser) -> None:
    """Add ``--evidence-dir``."""
    parser.getgroup("lumen").addoption(
        "--evidence-dir",
        metavar="DIR",
        help="keep evidence in a new folder of DIR (default: pytest's temporary folder)",
    )


def freeze_objects() -> None:
    """Exempt the collected tests from garbage collection: they are most objects, and exist until the end of the run.

    With all tests collected, this saves an eighth of the processor time of one fault of the matrix.
    """
    gc.freeze()


def number_of_workers() -> int:
    """Return two workers for each core, but at most as many as have a range of ports.

    Half of the time of all tests is a wait for a deadline or for a process. On two cores three workers took 714 s, four
    took 610 to 640 s. The limits of tests that measure processor time are twice the measured values.
    """
    return min((os.cpu_count() or 2) * 2, WORKERS)


def start_workers_safely(specs: Sequence[Any]) -> None:
    """Start xdist workers with ``-P`` if this process has it; without it they import modules of the current folder."""
    for spec in specs:
        if sys.flags.safe_path and spec.popen and not spec.python:
            spec.python = f"{shlex.quote(sys.executable)} -P"


def configure_worker(node: object) -> None:
    """Send the run to an xdist worker."""
    run = run_of(node.config)  # type: ignore[attr-defined]
    caller = [(os.fsencode(name), os.fsencode(value)) for name, value in run.caller.items()]  # bytes: not all are UTF-8
    sent = {"lumen_run": run.id, "lumen_folder": str(run.folder), "lumen_caller": caller}
    node.workerinput |= sent  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def run(request: pytest.FixtureRequest) -> Run:
    """Return the run of this test."""
    return run_of(request.config)
