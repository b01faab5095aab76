"""A session belongs to a launch by its number and by time: the system uses numbers again."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from unittest.mock import Mock

import psutil
import pytest

from lumen_conformance.inject.lumen_guard import TAG
from lumen_conformance.processes.process_tree import ProcessRef, kill_all, list_session, read_tag_of_child
from lumen_conformance.processes.sent_signals import SentSignal, record_signals
from lumen_conformance.waiting import until
from tests.fixtures.repository import ROOT

pytestmark = pytest.mark.skipif(os.name == "nt", reason="sessions of POSIX")
WAITS = "import threading; threading.Event().wait()"
STARTED_S = 10.0  # a process that is started by a fixture is this old at most
EARLIER_S = 100.0  # far beyond the accuracy of a start time


@pytest.fixture
def leader() -> Iterator[ProcessRef]:
    """The processes of a session of one process."""
    with subprocess.Popen([sys.executable, "-c", WAITS], start_new_session=True) as process:
        yield ProcessRef.of(process.pid)
        process.kill()


def test_the_session_of_a_running_process(leader: ProcessRef) -> None:
    """The session of a process that was not reaped has its processes."""
    assert list_session(leader) == (leader,)


def test_a_session_with_a_number_that_was_ours(leader: ProcessRef) -> None:
    """A session whose processes all began after the launched process was reaped is another session."""
    ours = ProcessRef(leader.pid, leader.start_time - EARLIER_S)
    assert list_session(ours, reaped_unix_s=leader.start_time - EARLIER_S / 2) == ()


def test_a_session_that_outlives_its_leader() -> None:
    """A process that began before the leader was reaped belongs to the session, and so does a known one."""
    command = [sys.executable, "-c", f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {WAITS!r}])"]
    with subprocess.Popen(command, start_new_session=True) as process:
        leader = ProcessRef.of(process.pid)
    reaped_unix_s = leader.start_time + EARLIER_S
    (left,) = list_session(leader, reaped_unix_s)
    try:
        assert list_session(leader, leader.start_time - EARLIER_S) == ()
        assert list_session(leader, leader.start_time - EARLIER_S, {left}) == (left,)
    finally:
        kill_all([left])


@pytest.mark.skipif(sys.platform != "linux", reason="Linux shows the threads of a process whose first one has ended")
def test_a_process_runs_until_its_last_thread_has_ended() -> None:
    """The first thread is a zombie while another one still has the sockets."""
    source = (
        "import ctypes, threading, time; threading.Thread(target=time.sleep, args=(60,)).start(); "
        "print(flush=True); ctypes.CDLL(None).pthread_exit(None)"
    )
    with subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE) as child:
        assert child.stdout
        child.stdout.readline()
        ref = ProcessRef.of(child.pid)
        until("the first thread has ended", lambda: psutil.Process(child.pid).status() == "zombie", within_s=5)
        assert ref.state() == "running"
        child.kill()
        assert kill_all([ref]) == ()


def test_each_signal_is_recorded(leader: ProcessRef) -> None:
    """Kills, stops and suspensions have their times, and the time at which the process began; none after its end."""
    before_s = time.monotonic()
    sent: list[SentSignal] = []
    with record_signals(sent.append):
        leader.send(signal.SIGCONT)
        leader.suspend()
        leader.resume()
        leader.kill()
        until("it has ended", lambda: leader.state() != "running", within_s=5.0)
        leader.kill()
    assert [(each.name, each.pid) for each in sent] == [
        (name, leader.pid) for name in ("SIGCONT", "SIGSTOP", "SIGCONT", "SIGKILL")
    ]
    times = [before_s, *(each.sent_mono_s for each in sent), time.monotonic()]
    assert times == sorted(times)
    # The process began just before; the start is counted from a boot time that the system gives in whole seconds.
    assert all(abs(before_s - each.began_mono_s) < STARTED_S + 1.0 for each in sent)


def test_no_signal_is_sent_in_another_way() -> None:
    """What a stage sends goes through ProcessRef or ChildProcess, or the timeline would not have it."""
    folders = ("lumen_conformance/stages", "lumen_conformance/targets", "tests/recovery", "tests/soak")
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    direct = re.compile(r"\.send_signal\(|os\.killpg?\(")
    assert [str(path) for path in paths if direct.search(path.read_text("utf-8"))] == []


def test_the_tag_of_a_process_that_has_just_been_started() -> None:
    """The environment of a process is empty for a moment after its start, and then has the tag."""
    process = Mock(**{"environ.side_effect": [{}, {}, {TAG: "mine"}, {TAG: "mine"}], "status.return_value": "running"})
    assert read_tag_of_child(process) == "mine"


def test_the_tag_of_a_zombie() -> None:
    """A process that has ended has none, and nothing waits for it."""
    process = Mock(**{"environ.return_value": {}, "status.return_value": psutil.STATUS_ZOMBIE})
    assert read_tag_of_child(process) == ""
