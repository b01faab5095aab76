"""Starved or stuck: by the processor time of a thread and by how often it ran."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lumen_conformance.waiting import until
from lumen_proxy.supervisor.starvation import RUNS, SPIN_S, ThreadRuns, is_starved, read_main_thread

SOON_S = 10.0  # each step takes milliseconds
BEFORE = ThreadRuns(100.0, 5.0, 1000)


@pytest.mark.parametrize(
    ("elapsed_s", "used_s", "runs", "starved"),
    [
        (5.0, 0.0, 0, False),  # stopped, or blocked
        (5.0, 0.001, RUNS - 1, False),  # on its way into the hang
        (5.0, 0.001, RUNS, True),  # for moments, again and again
        (5.0, 0.065, 3_800, True),  # waits for the interpreter, as measured
        (0.25, SPIN_S * 0.9, 500, True),
        (0.25, SPIN_S * 1.1, 500, False),  # spins, and others want the processor, too
        (5.0, 0.5, 500, False),
        (5.0, 5.0, 0, False),  # spins alone on a core
    ],
)
def test_starved_or_stuck(elapsed_s: float, used_s: float, runs: int, starved: bool) -> None:  # noqa: FBT001 - a row
    """Only a thread that ran again and again, for moments, is starved."""
    after = ThreadRuns(BEFORE.at_s + elapsed_s, BEFORE.processor_s + used_s, BEFORE.runs + runs)
    assert is_starved(BEFORE, after) is starved


def test_what_is_not_known_is_not_starved() -> None:
    """Where the system does not show it, three silent ticks are a hang."""
    assert not is_starved(None, BEFORE)
    assert not is_starved(BEFORE, None)


@pytest.mark.parametrize("content", [None, "", "1 2", "a b c"])
def test_an_odd_file_is_unknown(tmp_path: Path, content: str | None) -> None:
    """A kernel without these figures, or a process that has ended."""
    file = tmp_path / "7" / "task" / "7" / "schedstat"
    file.parent.mkdir(parents=True)
    if content is not None:
        file.write_text(content)
    assert read_main_thread(7, tmp_path) is None


def runs_of(pid: int) -> ThreadRuns:
    """What the system shows of a process that runs."""
    found = read_main_thread(pid)
    assert found
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="/proc of Linux")
@pytest.mark.parametrize("code", ["while True: pass", "import time; time.sleep(600)"])
def test_stuck_processes_are_not_starved(code: str) -> None:
    """Neither a process that spins nor one that sleeps, nor a stopped one, whatever else runs on this machine."""
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        try:
            if "sleep" in code:
                until("it sleeps", lambda: is_quiet(process.pid), within_s=SOON_S)
            before = runs_of(process.pid)
            if "pass" in code:
                until("it spins", lambda: runs_of(process.pid).processor_s > before.processor_s + 0.2, within_s=60)
            after = runs_of(process.pid)._replace(at_s=before.at_s + 1.0)  # the load of this machine is not the subject
            assert not is_starved(before, after)
            os.kill(process.pid, signal.SIGSTOP)
            until("it is stopped", lambda: is_quiet(process.pid), within_s=SOON_S)
            before = runs_of(process.pid)
            assert is_quiet(process.pid)
            assert not is_starved(before, runs_of(process.pid))
        finally:
            process.kill()


def is_quiet(pid: int) -> bool:
    """Whether it does not run for a moment, after it has begun."""
    before, end = runs_of(pid), time.monotonic() + 0.1
    until("a moment has passed", lambda: time.monotonic() > end, within_s=SOON_S)
    return runs_of(pid)[1:] == before[1:] and before.processor_s > 0.01  # the start of an interpreter takes as long


@pytest.mark.skipif(sys.platform != "linux", reason="/proc of Linux")
def test_a_thread_without_the_interpreter_is_starved() -> None:
    """A main thread that waits for the interpreter wakes up again and again."""
    code = (
        "import ctypes, threading, time\n"
        "threading.Thread(target=lambda: ctypes.PyDLL(None).sleep(600)).start()\n"  # keeps the interpreter
        "while True: time.sleep(0)"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        try:
            until("it has begun", lambda: runs_of(process.pid).processor_s > 0.01, within_s=SOON_S)

            def starves() -> bool:
                before, end = runs_of(process.pid), time.monotonic() + 0.1
                until("a moment has passed", lambda: time.monotonic() > end, within_s=SOON_S)
                return is_starved(before, runs_of(process.pid))

            until("it is starved", starves, within_s=SOON_S)
        finally:
            process.kill()
