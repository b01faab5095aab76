"""A check that shows a time and its limit passes only when the time is below the limit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lumen_conformance.registry import MeasureFixture
from lumen_conformance.registry.refutation import Refuted
from lumen_conformance.stages.observations import StartObservation
from tests.recovery import test_02_port_conflict as scenario

LIMIT_S, LATE_S = 5.0, 6.24
EVIDENCE = scenario.ConflictEvidence(
    budget_s=LIMIT_S,
    start_budget_s=LIMIT_S,
    port=8080,
    squatter_pid=1,
    banner="dummy",
    greeting="dummy",
    exit_status=scenario.PORT_IN_USE,
    elapsed_s=1.0,
    message="",
    stdout="",
    listened_on=(),
    greeting_after="dummy",
    squatter_stopped_by_us=True,
    port_was_free=True,
    again=StartObservation("", 1.0, 2, 8080),
    again_ready=True,
    files_left=(),
)


def test_a_late_refusal_is_red(measure: MeasureFixture) -> None:
    """A launch at a taken port that ends after its limit fails."""
    scenario.test_conflict_is_detected(EVIDENCE, measure)
    with pytest.raises(Refuted, match=r"exit status 75 after 6\.24 s"):
        scenario.test_conflict_is_detected(replace(EVIDENCE, elapsed_s=LATE_S), measure)


def test_a_late_second_start_is_red(measure: MeasureFixture) -> None:
    """A launch at a free port that is ready after its limit fails."""
    scenario.test_same_command_works(EVIDENCE, measure)
    with pytest.raises(Refuted, match=r"ready after 6\.24 s"):
        scenario.test_same_command_works(replace(EVIDENCE, again=StartObservation("", LATE_S, 2, 8080)), measure)
