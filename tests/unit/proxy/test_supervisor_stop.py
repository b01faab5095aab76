"""A supervisor with real processes stops: signals, drain, and no orphan after it was killed."""

from __future__ import annotations

import signal

import psutil
import pytest

from lumen_conformance.processes.child_process import WINDOWS
from lumen_conformance.stages.observations import is_port_free
from lumen_conformance.waiting import until
from tests.unit.proxy.supervised import SOON_S, Start, event_names

pytestmark = pytest.mark.skipif(WINDOWS, reason="the pretended worker takes descriptors; Windows shares sockets")


def has_ended(pid: int) -> bool:
    """True if the process has ended, reaped or not."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_stop_during_boot_leaves_nothing(start: Start) -> None:
    """A stop during the boot kills the worker and ends with 0."""
    proxy = start("never-imported", ready=False)
    worker = proxy.journal.until("worker_spawned", within_s=SOON_S)["pid"]
    proxy.stop()
    assert proxy.wait_exit(SOON_S) == 0
    assert has_ended(worker)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_the_whole_group_drains(start: Start, number: int) -> None:
    """A signal to the process group, as from Ctrl-C, drains and does not end the worker early."""
    proxy = start()
    proxy.journal.until("standby_ready", within_s=SOON_S)
    proxy.send_group(number)
    assert proxy.wait_exit(SOON_S) == 0
    assert event_names(proxy)[2:] == ["ready", "worker_spawned", "standby_ready", "draining", "drained", "stopped"]


def test_a_signal_to_the_group_in_the_first_moment_drains(start: Start) -> None:
    """A signal to the group directly after the start of the worker does not end it."""
    proxy = start(ready=False)
    proxy.journal.until("worker_spawned", within_s=SOON_S)
    proxy.send_group(signal.SIGINT)
    assert proxy.wait_exit(SOON_S) == 0
    assert "worker_died" not in event_names(proxy)


def test_a_second_signal_ends_at_once(start: Start) -> None:
    """A second signal ends a drain at once: 70, and the worker has ended."""
    proxy = start("never-drained")
    worker = proxy.health().pid
    proxy.stop()
    proxy.journal.until("draining", within_s=SOON_S)

    def ends_on_one_more() -> int | None:
        proxy.stop()
        return proxy.exit_status()

    assert until("it ends", ends_on_one_more, within_s=SOON_S) == 70
    assert has_ended(worker)


def test_a_stop_ends_the_standby(start: Start) -> None:
    """At the exit of the supervisor neither the standby nor the worker is left, and the port is free."""
    proxy = start()
    pids = proxy.health().pid, proxy.journal.until("standby_ready", within_s=SOON_S)["pid"]
    proxy.stop()
    assert proxy.wait_exit(SOON_S) == 0
    assert all(map(has_ended, pids))
    assert is_port_free(proxy.port)


def test_a_standby_leaves_with_a_killed_supervisor(start: Start) -> None:
    """A standby that is ready reads the end of its input; the port is free for the next start."""
    proxy = start()
    pids = proxy.health().pid, proxy.journal.until("standby_ready", within_s=SOON_S)["pid"]
    psutil.Process(proxy.pid).kill()
    until("both have ended", lambda: all(map(has_ended, pids)), within_s=SOON_S)
    until("their threads have ended, too", lambda: is_port_free(proxy.port), within_s=SOON_S)


def test_a_killed_supervisor_leaves_no_orphan(start: Start) -> None:
    """A worker that drains ends after its supervisor was killed, and the next start works."""
    proxy = start("never-drained")
    worker = proxy.health().pid
    proxy.stop()
    proxy.journal.until("draining", within_s=SOON_S)
    psutil.Process(proxy.pid).kill()
    until("the worker has ended", lambda: has_ended(worker), within_s=SOON_S)
    assert start(port=proxy.port).health().status == 200
