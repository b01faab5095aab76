"""The checks of scenario 1 on evidence that no real server produces."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lumen_conformance.processes.process_tree import ProcessRef
from lumen_conformance.registry import NotJudged, Refuted
from lumen_conformance.stages.observations import StartObservation
from lumen_conformance.stages.recovery_evidence import NamedProcess, Recovery
from tests.recovery import test_01_process_kill as scenario

START = StartObservation("", 0.1, 7, 8080, listener_pids=(7,))
RECOVERY = Recovery(
    (NamedProcess(ProcessRef(7, 0.0), "python server.py"),), ended=False, states=("running",), waited_s=2.0
)
SURVIVED = scenario.KillEvidence(START, 10.0, 1.0, 3.0, recovery=RECOVERY)
NOBODY = replace(SURVIVED, recovery=replace(RECOVERY, killed=(), states=()))
NEVER_READY = replace(SURVIVED, start=replace(START, problem="it ended with exit status 3"), recovery=None)


def test_a_process_that_survives() -> None:
    """A process that still runs after the kill fails 1.3, with its PID and its command line."""
    with pytest.raises(Refuted, match=r"pid 7 \(python server.py\) still running after the kill"):
        scenario.test_killed_processes_have_ended(SURVIVED)


def test_no_process_to_kill() -> None:
    """Where no process of the launch answers, the failure of 1.3 says so, and does not mention a kill."""
    with pytest.raises(Refuted, match="no process of the launch answers or listens there, so none was killed"):
        scenario.test_killed_processes_have_ended(NOBODY)


@pytest.mark.parametrize("record", [SURVIVED, NOBODY], ids=["survived", "nobody"])
def test_without_a_kill_no_restart_is_judged(record: scenario.KillEvidence) -> None:
    """Without a kill the restart is not judged, because of 1.3."""
    with pytest.raises(NotJudged, match=r"1\.3-forced-kill"):
        scenario.after_kill(record)


def test_without_a_start_no_kill_is_judged() -> None:
    """Without a start the kill is not judged, because of 1.1."""
    with pytest.raises(NotJudged, match=r"1\.1-initial-start"):
        scenario.test_killed_processes_have_ended(NEVER_READY)


@pytest.mark.parametrize(("start_s", "budget_s"), [(0.6, 3.0), (4.2, 4.2)], ids=["quiet", "busy"])
def test_the_time_for_a_restart(start_s: float, budget_s: float) -> None:
    """The limit is three seconds, or the time of the start on a machine where a start takes longer."""
    assert scenario.restart_budget(start_s) == budget_s
