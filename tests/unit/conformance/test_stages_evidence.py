"""A stage runs once in a run, also with several xdist workers, and its failure is the failure of its checks."""

import json
import time

import pytest

from tests.unit.conformance.plugin_run import PluginRun

SUITE = """
import os, signal, time
from dataclasses import dataclass
from pathlib import Path
import pytest
from lumen_conformance.stages.evidence import stage

@dataclass(frozen=True)
class Seen:
    nonce: bytes
    pids: tuple[int, ...]

@stage(scenario=1)
def told(folder: Path) -> Seen:
    with Path(os.environ["TALLY"]).open("a") as tally:
        tally.write("told\\n")
    {act}
    return Seen(os.urandom(4), (1, 2))

@pytest.mark.parametrize("number", range(6))
def test_reads(told: Seen, number: int) -> None:
    "It reads."
    assert len(told.nonce) == 4 and told.pids == (1, 2)
    with Path(os.environ["TALLY"]).with_name("nonces").open("a") as nonces:
        nonces.write(told.nonce.hex() + "\\n")
"""


@pytest.fixture
def plugin_run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> PluginRun:
    """A plugin_run pytest."""
    return PluginRun(pytester, monkeypatch)


# The other ways of xdist give the six checks, which are in one module, to one worker: that is the run without workers.
MODES = ["load", "loadgroup", "worksteal"]


@pytest.mark.parametrize("options", [("-n0",), *(("-n2", "--dist", mode) for mode in MODES)], ids=["alone", *MODES])
def test_staged_once(plugin_run: PluginRun, options: tuple[str, ...]) -> None:
    """Six checks on any number of workers read one record."""
    plugin_run.run(SUITE.format(act=""), *options).assert_outcomes(passed=6)
    assert len(plugin_run.lines()) == 1
    assert len(set(plugin_run.tally.with_name("nonces").read_text().splitlines())) == 1


def test_staged_once_where_each_worker_runs_each_test(plugin_run: PluginRun) -> None:
    """``--dist each`` runs the stage once, and each check twice."""
    plugin_run.run(SUITE.format(act=""), "-n2", "--dist", "each").assert_outcomes(passed=6)  # each test counts once
    assert len(plugin_run.lines()) == 1


@pytest.mark.parametrize("options", [("-n0",), ("-n2",)], ids=["alone", "two-workers"])
def test_failed_stage_is_never_tried_again(plugin_run: PluginRun, options: tuple[str, ...]) -> None:
    """Every check of a failed stage is an ERROR with the traceback of the stage."""
    result = plugin_run.run(SUITE.format(act="raise ValueError('the stage broke')"), *options)
    result.assert_outcomes(errors=6)
    result.stdout.fnmatch_lines(["*raise ValueError('the stage broke')*", "*ValueError: the stage broke*"])
    assert len(plugin_run.lines()) == 1


def test_crashed_stage_is_never_tried_again(plugin_run: PluginRun) -> None:
    """A worker is killed in the middle of a stage: one test crashed, and the other checks are ERRORs that say so."""
    result = plugin_run.run(SUITE.format(act="os.kill(os.getpid(), 9)"), "-n2")
    result.assert_outcomes(errors=6)
    result.stdout.fnmatch_lines(["*told crashed on gw?:*", "*ended in the middle of it*"])
    assert len(plugin_run.lines()) == 1


LEAKY = """subprocess.Popen(
        [sys.executable, "-c", "import threading; threading.Event().wait()"],
        env=os.environ | {"E2E_LUMEN": run.open_tag("daemon")},
    )"""


def test_leak_of_a_stage_is_an_error_of_its_checks(plugin_run: PluginRun) -> None:
    """A process that a stage leaves is ended; the checks are judged, and each is an ERROR at its end."""
    act = f"import sys, subprocess; {LEAKY}; run.close_tag(run.tag(1))"
    result = plugin_run.run(SUITE.format(act=act).replace("folder: Path", "folder: Path, run: object"), "-n2")
    result.assert_outcomes(errors=6)
    result.stdout.fnmatch_lines(["*Leaked: stage *told: *Event*"])


def test_going_out_in_a_stage_is_an_error_of_its_checks(plugin_run: PluginRun) -> None:
    """A stage fails when a process tries to connect to another machine meanwhile."""
    act = "import socket; socket.socket().connect_ex(('192.0.2.1', 80))"
    result = plugin_run.run(SUITE.format(act=f"try: {act}\n    except OSError: pass"), "-n0")
    result.assert_outcomes(errors=6)
    result.stdout.fnmatch_lines(["*IsolationError*192.0.2.1:80*"])


def test_stage_that_runs_into_the_backstop_is_never_tried_again(plugin_run: PluginRun) -> None:
    """A stage that pytest-timeout ends is recorded as failed."""
    result = plugin_run.run(SUITE.format(act="threading.Event().wait()").replace("import os,", "import threading, os,"),
                        "-n0", "--timeout=1", "--timeout-method=signal")  # fmt: skip
    result.assert_outcomes(errors=6)
    assert len(plugin_run.lines()) == 1


def test_next_run_stages_anew(plugin_run: PluginRun) -> None:
    """A record of an earlier run is never read, even in the same place."""
    for _ in range(2):
        plugin_run.run(SUITE.format(act=""), "--evidence-dir", "kept").assert_outcomes(passed=6)
    assert len(plugin_run.lines()) == 2


def test_skipped_stage_skips_its_checks(plugin_run: PluginRun) -> None:
    """A skipped stage skips its checks, with its reason."""
    plugin_run.run(SUITE.format(act="pytest.skip('no such thing here')"), "-n2").assert_outcomes(skipped=6)
    assert len(plugin_run.lines()) == 1


def test_each_variant_is_staged_once(plugin_run: PluginRun) -> None:
    """A stage with variants has one record for each, with the name of the variant in the test id."""
    suite = SUITE.format(act="assert variant > 0").replace("folder: Path", "folder: Path, variant: int")
    result = plugin_run.run(suite.replace("scenario=1", "scenario=1, variants={'one': 1, 'zero': 0}"), "-n2", "-v")
    result.assert_outcomes(passed=6, errors=6)
    assert len(plugin_run.lines()) == 2


def test_the_signals_of_a_stage_are_in_its_record(plugin_run: PluginRun) -> None:
    """A kill from a thread of the stage is in the record with its time; the end of what is left is not."""
    act = """import subprocess, sys, threading
    from lumen_conformance.processes.process_tree import ProcessRef
    with subprocess.Popen([sys.executable, "-c", "import threading; threading.Event().wait()"]) as child:
        threading.Thread(target=ProcessRef.of(child.pid).kill).start()
    Path(os.environ["TALLY"]).with_name("pid").write_text(str(child.pid))"""
    plugin_run.run(SUITE.format(act=act), "-n0", "--evidence-dir=kept").assert_outcomes(passed=6)
    (path,) = plugin_run.tally.parent.parent.glob("kept/*/*told/record.json")
    (sent,) = json.loads(path.read_bytes())["signals"]
    assert (sent["name"], sent["pid"]) == ("SIGKILL", int(plugin_run.tally.with_name("pid").read_text()))
    assert sent["sent_mono_s"] < time.monotonic()
