"""A test that leaks is an ERROR; what it leaked is ended, and processes of other runs are not."""

import contextlib
import os
import subprocess
import sys

import psutil
import pytest

from lumen_conformance.processes.process_tree import ProcessRef, find_tagged
from lumen_conformance.run import TAG, Run
from lumen_conformance.waiting import until
from tests.unit.conformance.plugin_run import PluginRun

SUITE = """
    import multiprocessing, os, socket, subprocess, sys, threading
    from pathlib import Path
    import pytest
    from lumen_conformance.gateway.server import ScriptedGateway
    PAUSE = [sys.executable, "-c", "import threading; threading.Event().wait()"]
    KEPT = []
    PAUSED = threading.Event()

    def count(pid):
        with Path(os.environ["TALLY"]).open("a") as tally:
            tally.write(f"{pid}\\n")

    def start(**how):
        process = subprocess.Popen(PAUSE, **how)
        count(process.pid)
        return process

    def fork():
        pid = os.fork()
        if not pid:
            threading.Event().wait()
        count(pid)

    def multiprocess():
        process = multiprocessing.get_context("fork").Process(target=threading.Event().wait, daemon=True)
        process.start()
        count(process.pid)

    def test_before(): "It holds."
    def test_acts(run):
        "It acts."
        %s
    def test_after(): "It holds."
"""


@pytest.fixture
def plugin_run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> PluginRun:
    """A plugin_run pytest."""
    return PluginRun(pytester, monkeypatch)


def running(plugin_run: PluginRun) -> list[psutil.Process]:
    """Return the processes that the suite has recorded and that still run; a zombie only waits for init."""
    found = []
    for pid in plugin_run.lines():
        with contextlib.suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(int(pid)))
    return [process for process in found if process.status() != psutil.STATUS_ZOMBIE]


RUNNING = "still running, now ended: pid *"
LISTENING = "still listening: port *"
LEFT = "left in the folder of the suite: *left"
LEAKS = {
    "child": ("start()", f"{RUNNING}Event*"),
    "daemon": ("start(start_new_session=True)", f"{RUNNING}Event*"),
    "grandchild": (
        "subprocess.run([sys.executable, '-c', f'import subprocess; subprocess.Popen({PAUSE})'])",
        f"{RUNNING}Event*",
    ),
    "closed-launch": (
        "start(env=os.environ | {'E2E_LUMEN': run.open_tag('x')}); run.close_tag(run.tag(1))",
        f"{RUNNING}Event*",
    ),
    "no-environment": ("start(env={})", f"{RUNNING}(no tag)*Event*"),
    "fork": ("fork()", RUNNING),
    "multiprocessing": ("multiprocess()", RUNNING),
    "listener": ("KEPT.append(socket.create_server(('127.0.0.1', 0)))", LISTENING),
    "listener-ipv6": ("KEPT.append(socket.create_server(('::1', 0), family=socket.AF_INET6))", LISTENING),
    "gateway": ("ScriptedGateway().__enter__()", LISTENING),
    "file": ("Path('left').touch()", LEFT),
    "folder": ("Path('left').mkdir()", LEFT),
    "file-of-a-child": ("subprocess.run([sys.executable, '-c', 'open(\"left\", \"w\")'])", LEFT),
}


@pytest.mark.parametrize(("act", "message"), LEAKS.values(), ids=LEAKS)
def test_leak_is_an_error_of_its_test(plugin_run: PluginRun, act: str, message: str) -> None:
    """The leak is named at the teardown of its test, and ended; the tests beside it pass."""
    result = plugin_run.run(SUITE % act, "-W", "ignore")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_acts*", f"*Leaked: {message}"])
    assert not running(plugin_run)


@pytest.mark.parametrize(
    "act",
    [
        "subprocess.run([sys.executable, '-c', ''])",
        "os.waitpid(os.fork() or os._exit(0), 0)",
        "socket.create_server(('127.0.0.1', 0)).close()",
        "KEPT.append(socket.socket()); KEPT[0].bind(('127.0.0.1', 0))",
        "ScriptedGateway().__enter__().__exit__(None, None, None)",
        "Path('left').touch(); Path('left').unlink()",
        "KEPT.append(run.allow_ports(ScriptedGateway().__enter__().url)); KEPT[0].__enter__()",
    ],
    ids=["child", "fork", "listener", "bound-only", "gateway", "file", "answered-for"],
)
def test_what_has_ended_is_no_leak(plugin_run: PluginRun, act: str) -> None:
    """A test may start processes, open ports and write files, if it ends them or a fixture does."""
    plugin_run.run(SUITE % act, "-W", "ignore").assert_outcomes(passed=3)


def test_open_launch_is_no_leak(plugin_run: PluginRun) -> None:
    """An open launch may run on; what is left at the end of the run is ended, and fails the run."""
    act = "start(env=os.environ | {'E2E_LUMEN': run.open_tag('x')})"
    result = plugin_run.run(SUITE % act, "-W", "ignore")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["*left behind by this run, now ended*", "pid *Event*"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert not running(plugin_run)


def test_one_section_for_all_that_was_ended(plugin_run: PluginRun) -> None:
    """What the helper of a killed worker has ended is in the same section as what the audit has ended."""
    act = "start(env=os.environ | {'E2E_LUMEN': run.open_tag('x')}); (run.folder / 'reaped-x.txt').write_text('pid 9')"
    lines = plugin_run.run(SUITE % act, "-W", "ignore").outlines
    (title,) = (number for number, line in enumerate(lines) if "left behind by this run, now ended" in line)
    assert [line.partition(" ")[0] for line in lines[title + 1 : title + 3]] == ["pid", "pid"]
    assert "pid 9" in lines[title + 1 : title + 3]


def test_a_daemon_of_an_ended_launch_is_a_leak(plugin_run: PluginRun) -> None:
    """A daemon that an open launch has started is a leak of the test in which that launch ends."""
    code = "import subprocess; print(subprocess.Popen({PAUSE}, stdout=subprocess.DEVNULL).pid)"
    daemon = f"subprocess.check_output([sys.executable, '-c', f'{code}'], env=os.environ | {{'E2E_LUMEN': tag}})"
    suite = SUITE % f"tag = run.open_tag('x'); count(int({daemon}))"
    suite = suite.replace('after(): "It holds."', 'after(run): "It ends."; run.close_tag(run.tag(1))')
    result = plugin_run.run(suite)
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_after*", f"*Leaked: {RUNNING}Event*"])
    assert not running(plugin_run)


def test_processes_of_a_killed_worker_are_swept(plugin_run: PluginRun) -> None:
    """The processes of a killed xdist worker are ended, and named at the end of the run."""
    act = "start(env=os.environ | {'E2E_LUMEN': run.open_tag('x')}); os.kill(os.getpid(), 9)"
    result = plugin_run.run(SUITE % act, "-n2")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*left behind by this run, now ended*", "pid *Event*"])
    assert not running(plugin_run)


@pytest.mark.skipif(os.name == "nt", reason="a request to stop is no signal there")
@pytest.mark.parametrize(("who", "options"), [("getpid", ()), ("getppid", ("-n1",))], ids=["alone", "controller"])
def test_a_request_to_stop_ends_the_run_in_order(plugin_run: PluginRun, who: str, options: tuple[str, ...]) -> None:
    """SIGTERM, which a cancelled job of CI gets, acts like Ctrl-C: teardowns, a summary, and no process left."""
    act = f"start(env=os.environ | {{'E2E_LUMEN': run.open_tag('x')}}); os.kill(os.{who}(), 15); PAUSED.wait(3)"
    result = plugin_run.run(SUITE % act, "-W", "ignore", *options)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*left behind by this run, now ended*", "*KeyboardInterrupt*"])
    assert not running(plugin_run)


def test_processes_of_other_runs_are_never_found(run: Run) -> None:
    """A process of another run, or with a longer tag of the same beginning, is not found."""
    environ = os.environ | {TAG: f"{run.id}0/{run.worker}/1"}
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env=environ) as stranger:
        ref = ProcessRef.of(stranger.pid)  # whose environment can be read a moment later only
        until("it is found by its own tag", lambda: ref in find_tagged(f"{run.id}0/"), within_s=5)
        assert ref not in find_tagged(f"{run.id}/")
        stranger.communicate(b"\n")
