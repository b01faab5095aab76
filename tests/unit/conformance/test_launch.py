"""Launches of a fake proxy: when they are ready, when an exit is noticed, and what is left behind."""

import os
import re
import signal
import sys
import time
from pathlib import Path

import pytest

from lumen_conformance.processes.child_process import Leaked
from lumen_conformance.processes.process_tree import ProcessRef, find_tagged
from lumen_conformance.processes.squatters import Squatters
from lumen_conformance.run import Run
from lumen_conformance.targets.launch import Launcher
from lumen_conformance.targets.target import Target
from lumen_conformance.waiting import WaitEndedError, WaitTimeoutError

FAKE_PROXY = Path(__file__).parents[2] / "fixtures" / "fake_proxy.py"


def fake_proxy(mode: str = "", *, journal: bool = True) -> Target:
    """Return a target that behaves like the proxy, but for one fault."""
    can = {"health", "journal"} if journal else {"health"}
    return Target(command=(sys.executable, str(FAKE_PROXY), "{port}", mode), can=frozenset(can))


@pytest.fixture
def launches(run: Run, tmp_path: Path) -> Launcher:
    """A factory that the test closes by itself."""
    return Launcher(run, fake_proxy(), tmp_path)


def test_ready_is_proven_by_the_journal(launches: Launcher) -> None:
    """The port comes from the journal, and the process that answers there is the launched one."""
    with launches:
        proxy = launches()
        health = proxy.health()
        assert (health.status, health.instance, health.pid) == (
            200,
            proxy.ready.instance if proxy.ready else None,
            proxy.pid,
        )
        assert proxy.worker() == proxy.ref == ProcessRef.of(proxy.pid)
        assert "안녕".encode() in proxy.chat("안녕").request_body


def test_ready_is_proven_by_the_socket(launches: Launcher) -> None:
    """Without a journal the listening socket must belong to the process tree."""
    with launches:
        proxy = launches(target=fake_proxy(journal=False))
        assert proxy.listeners() == (proxy.ref,)


def test_an_answer_of_another_instance_is_no_proof(launches: Launcher) -> None:
    """An answer of 200 by another instance does not make a launch ready."""
    with launches:
        proxy = launches(target=fake_proxy("stranger"), ready=False)
        proxy.journal.until("ready", within_s=10)
        with pytest.raises(WaitTimeoutError, match="no answer came from this launch within"):
            proxy.wait_ready(within_s=0.2)


def test_answer_from_another_process_is_no_proof(launches: Launcher, squat: Squatters) -> None:
    """Without a journal, a process of the launch must hold the listening socket; an answer of 200 is not enough."""
    with launches:
        proxy = launches(target=fake_proxy("deaf", journal=False), port=squat("banner").port, ready=False)
        assert proxy.health(within_s=5).status == 200
        with pytest.raises(WaitTimeoutError, match="by another process") as late:
            proxy.wait_ready(within_s=0.2)
    assert re.search(
        r"GET http://127.0.0.1:\d+/health was answered with status 200 .*; end the program", str(late.value)
    )


@pytest.mark.parametrize("status", [0, 3])
def test_early_exit_is_noticed_at_once(launches: Launcher, status: int) -> None:
    """The error of an exit before readiness has exit status, command and the ends of both logs, also for status 0."""
    start_s = time.monotonic()
    with launches, pytest.raises(WaitEndedError) as death:
        launches(target=fake_proxy(f"exit{status}"))
    assert time.monotonic() - start_s < 10
    for said in (f"exit status {status}", "fake_proxy.py", "about to start", "one line of trouble"):
        assert said in str(death.value)


def test_launch_that_fails_leaks_nothing(launches: Launcher, run: Run) -> None:
    """A launch that never becomes ready is ended with its factory."""
    with launches:
        proxy = launches(target=fake_proxy("mute"), ready=False)
        with pytest.raises(WaitTimeoutError):
            proxy.wait_ready(within_s=0.5)
    assert proxy.ref.state() == "gone"
    assert not [tag for tag in find_tagged(f"{run.id}/{run.worker}/").values() if tag == proxy.tag]


def test_orphan_is_named_and_ended(launches: Launcher) -> None:
    """A daemon that outlives its launch fails the end of the factory, and is killed."""
    proxy = launches(target=fake_proxy("orphan"))
    daemon = next(ref for ref in proxy.processes() if ref != proxy.ref)
    with pytest.raises(Leaked, match=f"pid {daemon.pid}"):
        launches.close()
    assert daemon.state() != "running"


def test_litter_is_named(launches: Launcher) -> None:
    """A state file that an orderly stop leaves behind is a leak."""
    proxy = launches(target=fake_proxy("litter"))
    with pytest.raises(Leaked, match=rf"proxy-{proxy.port}\.json"):
        launches.close()


def test_an_import_from_the_current_folder_is_reported(run: Run, tmp_path: Path) -> None:
    """The error about a target that imports a file of its current folder names the file."""
    target = Target(command=(sys.executable, "-c", "import secrets"), can=frozenset({"health"}))
    with pytest.raises(Leaked, match=r"an import of .*secrets"), Launcher(run, target, tmp_path) as launches:
        launches(ready=False).wait_exit(30)


def test_traceback_in_a_log_is_named(launches: Launcher) -> None:
    """A traceback in a log is an error, unless the test expects it."""
    launches(target=fake_proxy("stumble"))
    with pytest.raises(Leaked, match=r"a traceback in .*stderr\.log"):
        launches.close()
    launches.is_traceback_expected = True
    with launches:
        launches(target=fake_proxy("stumble"))


def test_killed_target_may_leave_files(launches: Launcher) -> None:
    """A killed target may leave its files behind."""
    with launches:
        proxy = launches()
        proxy.ref.kill()
        assert proxy.wait_exit(within_s=5) != 0


def test_stubborn_target_is_killed(launches: Launcher) -> None:
    """A target that ignores the request to stop is killed after the time it was given."""
    with launches:
        proxy = launches(target=fake_proxy("stubborn"))
        assert proxy.end(within_s=0.3).forced
        assert proxy.ref.state() == "gone"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no zombies")
def test_a_zombie_has_its_own_state() -> None:
    """A process that has ended but was not reaped is neither running nor gone."""
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", "kill -STOP $$"], os.environ)
    os.waitpid(pid, os.WUNTRACED)
    ref = ProcessRef.of(pid)
    assert ref.state() == "running"
    ref.kill()
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert ref.state() == "zombie"
    os.waitpid(pid, 0)
    assert ref.state() == "gone"
    assert ProcessRef(os.getpid(), ref.start_time - 100).state() == "gone"


def test_other_commands_run_to_their_end(run: Run, tmp_path: Path) -> None:
    """Exit status and output of a command that ends by itself."""
    echo = Target(tool=(sys.executable, "-c", "import sys; print(sys.argv[1:]); sys.exit(69)"))
    with Launcher(run, echo, tmp_path) as launches:
        done = launches.run("check", "--venv", "x")
    assert (done.exit_status, done.stdout.strip()) == (69, "['check', '--venv', 'x']")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no process groups of this kind")
def test_signal_to_the_whole_group(launches: Launcher) -> None:
    """A signal to the process group stops the target, as Ctrl-C does."""
    with launches:
        proxy = launches()
        proxy.send_group(signal.SIGTERM)
        assert proxy.wait_exit(within_s=5) == 0
