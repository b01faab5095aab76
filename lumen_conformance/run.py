"""Who we are: this run, this xdist worker, and the tags that mark everything we start.

A tag ``<run>/<worker>/<number>`` stands in the environment of each child, where it is inherited by its children.
So even a daemon that has left our process tree can be found, and nothing else is ever taken for ours.
"""

from __future__ import annotations

import gc
import itertools
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from lumen_conformance.inject.lumen_guard import FOREIGN
from lumen_conformance.ports import WORKERS

TAG = "E2E_LUMEN"  # not LUMEN_…: those are the product's settings, and it warns of names that it does not know
ALONE = "main"  # the name of the worker when there is no xdist
UNDECLARED = 0  # the number of what a test starts by itself instead of through a fixture


@dataclass(frozen=True)
class Run:
    """One invocation of pytest, seen from one of its processes.

    ``id``      new for each invocation, the same in all its xdist workers
    ``worker``  ``gw0``, ``gw1``, …; ``main`` without xdist
    ``folder``  evidence of this invocation; the same for all workers, empty at the start
    ``caller``  the environment of whoever called pytest, as it was before the suite cleaned its own
    """

    id: str
    worker: str
    folder: Path
    caller: Mapping[str, str] = field(default_factory=dict, repr=False)  # it has keys
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(UNDECLARED + 1))
    _open: dict[str, str] = field(default_factory=dict)
    _pids: set[int] = field(default_factory=set)
    _ports: set[int] = field(default_factory=set)

    def tag(self, number: int = UNDECLARED) -> str:
        """The tag of one launch of this worker."""
        return f"{self.id}/{self.worker}/{number}"

    def open_tag(self, label: str, *, foreign: bool = False) -> str:
        """A tag that no other launch has; until `close_tag` its processes are no leak."""
        tag = self.tag(next(self._numbers)) + (FOREIGN if foreign else "")
        self._open[tag] = label
        return tag

    def close_tag(self, tag: str) -> None:
        """From now on a process with this tag is a leak."""
        self._open.pop(tag, None)

    @property
    def open_tags(self) -> frozenset[str]:
        """The tags that fixtures answer for."""
        return frozenset(self._open)

    def is_open(self, tag: str) -> bool:
        """Whether a fixture still answers for the processes with this tag."""
        return tag in self._open

    @property
    def open_pids(self) -> set[int]:
        """The processes that fixtures have started and answer for: a process may have written over its own tag."""
        return self._pids

    @property
    def open_ports(self) -> frozenset[int]:
        """The ports of this process that fixtures answer for."""
        return frozenset(self._ports)

    @contextmanager
    def answering(self, *urls: str) -> Iterator[None]:
        """For a fixture that serves more than one test from this process: its ports are no leak inside the block."""
        ports = {urlsplit(url).port or 0 for url in urls}
        self._ports.update(ports)
        try:
            yield
        finally:
            self._ports.difference_update(ports)

    @property
    def guard_file(self) -> Path:
        """Where the guards of this worker and of its children write down what they blocked."""
        return self.folder / f"guard-{self.worker}.jsonl"


RUN = pytest.StashKey[Run]()


def run_of(config: pytest.Config) -> Run:
    """The run that a process of pytest belongs to; not before plugins are configured."""
    if RUN not in config.stash:
        config.stash[RUN] = _run(config)
    return config.stash[RUN]


def _run(config: pytest.Config) -> Run:
    given = getattr(config, "workerinput", None)
    if given is not None:
        return Run(given["lumen_run"], given["workerid"], Path(given["lumen_folder"]), _read(config))
    run_id = uuid.uuid4().hex[:12]
    base = config.getoption("evidence_dir")
    # pytest makes this folder new for each invocation; it has no public name before fixtures exist.
    parent = Path(base).resolve() if base else config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined] # noqa: SLF001
    folder = parent / f"evidence-{run_id}"
    folder.mkdir(parents=True)
    return Run(run_id, ALONE, folder, dict(os.environ))


def _read(config: pytest.Config) -> dict[str, str]:
    """The caller's environment, of which an xdist worker finds a cleaned copy only."""
    sent: list[tuple[bytes, bytes]] = config.workerinput["lumen_caller"]  # type: ignore[attr-defined]
    return {os.fsdecode(name): os.fsdecode(value) for name, value in sent}


def is_controller(config: pytest.Config) -> bool:
    """Whether this process only distributes tests to xdist workers."""
    return not hasattr(config, "workerinput") and bool(
        config.getoption("dist", "no") != "no" and config.getoption("tx", None)
    )


def add_options(parser: pytest.Parser) -> None:
    """Add the option that says where evidence is kept."""
    parser.getgroup("lumen").addoption(
        "--evidence-dir",
        metavar="DIR",
        help="keep evidence in a new folder of DIR (default: pytest's temporary folder)",
    )


def freeze_objects() -> None:
    """Exempt the collected tests from garbage collection: they stay until the end, and are most of what it looks at.

    Where all are collected, a fault of the matrix costs an eighth less of processor time.
    """
    gc.freeze()


def number_of_workers() -> int:
    """Two workers for each core, as far as each has ports of its own.

    Half of the time of all tests is a wait, for a deadline or for a process. On two cores three workers took 714 s
    where four took 610 to 640 s; the tests that measure processor time have twice what they need.
    """
    return min((os.cpu_count() or 2) * 2, WORKERS)


def configure_worker(node: object) -> None:
    """Tell an xdist worker which run it belongs to."""
    run = run_of(node.config)  # type: ignore[attr-defined]
    caller = [(os.fsencode(name), os.fsencode(value)) for name, value in run.caller.items()]  # any bytes, as they are
    told = {"lumen_run": run.id, "lumen_folder": str(run.folder), "lumen_caller": caller}
    node.workerinput |= told  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def run(request: pytest.FixtureRequest) -> Run:
    """The run that this test belongs to."""
    return run_of(request.config)
