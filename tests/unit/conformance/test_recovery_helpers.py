"""A process that ends again replaces nothing; a process that stays does, whether it answers or not."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

import pytest

from lumen_conformance.processes.process_tree import ProcessRef
from lumen_conformance.registry.journal_event import JournalEvent
from lumen_conformance.run import Run
from lumen_conformance.stages.no_hang import describe_end
from lumen_conformance.stages.recovery import recover
from lumen_conformance.stages.recovery_evidence import NamedProcess, Recovery
from lumen_conformance.targets.launch import Launcher
from lumen_conformance.targets.target import Target

pytestmark = pytest.mark.skipif(os.name == "nt", reason="this server forks, which Windows cannot")
WITHIN_S = 2.0  # helpers come and go meanwhile; the replacement of a worker is there within milliseconds
START_S = 30.0  # a start takes 0.2 s here; the rest is for a busy machine
SINGLE = shlex.join([sys.executable, "-m", "tests.fixtures.foreign.single"])
Recover = Callable[..., Recovery]
PREFORK = (sys.executable, "-m", "tests.fixtures.foreign.prefork", "{host}", "{port}")


@pytest.fixture
def recovery_of(run: Run, tmp_path: Path) -> Iterator[Recover]:
    """A factory: launch this command, kill what serves, and return what follows."""
    with ExitStack() as stack:

        def recovery(*command: str, within_s: float = WITHIN_S) -> Recovery:
            can = frozenset({"health", "launch", "restart"})
            target = Target(command=command, can=can, foreign=True)
            return recover(stack.enter_context(Launcher(run, target, tmp_path / "launch"))(), within_s)

        yield recovery


def test_helpers_are_no_replacement(recovery_of: Recover) -> None:
    """Short processes of a supervisor that restarts nothing are no replacement."""
    recovery = recovery_of(*PREFORK, "only-helpers")
    assert (recovery.replaced, recovery.replaced_s, recovery.answered_s) == ((), None, None)


def test_what_ended_has_its_time_and_its_reason() -> None:
    """A worker that ended is named with what the journal says of it; without an entry only by its PID."""
    event = JournalEvent("worker_hung", 107.25, "a", {"pid": 4711, "silent_s": 1.5})
    assert describe_end(4711, event, 105.0) == "worker 4711, replaced as hung after 2.2 s: silent for 1.5 s"
    assert describe_end(4711, None, 105.0) == "process 4711"


COMMANDS = {
    "/srv/a/long/path/.venv/bin/python /srv/a/long/path/server.py 127.0.0.1 8080": "python server.py 127.0.0.1 8080",
    r"C:\Python\python.exe C:\a\server.py http://127.0.0.1:1/v1": "python.exe server.py http://127.0.0.1:1/v1",
    "node ./cluster.mjs": "node ./cluster.mjs",
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_process_is_named_without_folders(command: str) -> None:
    """Files of a command line are shown without their folders."""
    ref = mock.Mock(spec=ProcessRef, **{"command_line.return_value": command})
    assert NamedProcess.of(ref).command == COMMANDS[command]


def test_helpers_are_named() -> None:
    """The first of the processes that ended again are named, with the number of the others."""
    passing = tuple(NamedProcess(ProcessRef(pid, 0.0), "curl") for pid in range(1, 6))
    sentence = Recovery((), ended=True, states=(), waited_s=2.0, passing=passing).describe_wait("a new process")
    assert sentence.endswith("; new processes that ended again: pid 1 (curl), pid 2 (curl), pid 3 (curl) and 2 more")


def test_another_program_is_no_replacement(recovery_of: Recover) -> None:
    """A shell that starts another program after the end of its server restarts nothing, however long that runs."""
    recovery = recovery_of("sh", "-c", f"{SINGLE} {{host}} {{port}}; sleep 3600")
    assert len(recovery.killed) == 1
    assert (recovery.replaced, recovery.replaced_s, recovery.answered_s) == ((), None, None)


@pytest.mark.parametrize("fault", ["never-answers", "leaves-port"])
def test_a_replacement_that_stays(recovery_of: Recover, fault: str) -> None:
    """A new process that stays is a replacement, though it never answers on the port."""
    recovery = recovery_of(*PREFORK, fault)
    assert recovery.replaced
    assert recovery.replaced_s is not None
    assert (recovery.answered_s, recovery.passing) == (None, ())


def test_a_replacement_that_answers(recovery_of: Recover) -> None:
    """A new process that answers ends the wait at once."""
    recovery = recovery_of(*PREFORK, within_s=START_S)
    assert recovery.replaced
    assert recovery.answered_s is not None
    assert recovery.waited_s < START_S
