"""A test that leaks is an ERROR, itself; what it leaked is ended, and strangers are never touched."""

import contextlib
import os
import subprocess
import sys

import psutil
import pytest

from tests.fixtures.proctree import ProcessRef, tagged
from tests.fixtures.run import TAG, Run
from tests.unit.harness import Nested

SUITE = """
    import os, subprocess, sys
    from pathlib import Path
    import pytest
    PAUSE = [sys.executable, "-c", "import threading; threading.Event().wait()"]

    def start(**how):
        process = subprocess.Popen(PAUSE, **how)
        with Path(os.environ["TALLY"]).open("a") as tally:
            tally.write(f"{process.pid}\\n")
        return process

    def test_before(): pass
    def test_acts(run):
        %s
    def test_after(): pass
"""


@pytest.fixture
def nested(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Nested:
    """A pytest of its own."""
    return Nested(pytester, monkeypatch)


def running(nested: Nested) -> list[psutil.Process]:
    """The processes that the suite has written down and that still run; zombies wait for init only."""
    found = []
    for pid in nested.lines():
        with contextlib.suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(int(pid)))
    return [process for process in found if process.status() != psutil.STATUS_ZOMBIE]


LEAKS = {
    "child": "start()",
    "daemon": "start(start_new_session=True)",
    "grandchild": "subprocess.run([sys.executable, '-c', f'import subprocess; subprocess.Popen({PAUSE})'])",
    "closed-launch": "start(env=os.environ | {'E2E_LUMEN': run.open_tag('x')}); run.close_tag(run.tag(1))",
}


@pytest.mark.parametrize("act", LEAKS.values(), ids=LEAKS)
def test_leak_is_an_error_of_its_test(nested: Nested, act: str) -> None:
    """The leak is named at the teardown of the test that leaked, and ended; its neighbours pass."""
    result = nested.run(SUITE % act, "-W", "ignore")
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_acts*", "*Leaked: still running, now ended: pid *Event*"])
    assert not running(nested)


def test_open_launch_is_no_leak(nested: Nested) -> None:
    """What a fixture still answers for may run on; what is left at the very end is swept and makes the run red."""
    act = "start(env=os.environ | {'E2E_LUMEN': run.open_tag('x')})"
    result = nested.run(SUITE % act, "-W", "ignore")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["*left behind by this run, now ended*", "pid *Event*"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert not running(nested)


def test_processes_of_a_killed_worker_are_swept(nested: Nested) -> None:
    """A worker of xdist that is killed leaves its launches; the controller ends them and says so."""
    act = "start(env=os.environ | {'E2E_LUMEN': run.open_tag('x')}); os.kill(os.getpid(), 9)"
    result = nested.run(SUITE % act, "-n2")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*left behind by this run, now ended*", "pid *Event*"])
    assert not running(nested)


def test_process_that_ended_is_no_leak(nested: Nested) -> None:
    """A test may start what it likes, as long as it ends it."""
    nested.run(SUITE % "subprocess.run([sys.executable, '-c', ''])").assert_outcomes(passed=3)


def test_strangers_are_never_found(run: Run) -> None:
    """A process of another run, or with a tag that only begins like ours, is not ours."""
    environ = os.environ | {TAG: f"{run.id}0/{run.worker}/1"}
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env=environ) as stranger:
        assert ProcessRef.of(stranger.pid) not in tagged(f"{run.id}/")
        assert ProcessRef.of(stranger.pid) in tagged(f"{run.id}0/")
        stranger.communicate(b"\n")
