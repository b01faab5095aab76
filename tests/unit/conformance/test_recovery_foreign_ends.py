"""Scenarios 10, 11 and 18 against foreign servers: healthy ones pass what applies, and each fault fails its checks."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

from lumen_conformance.run import Run
from lumen_conformance.targets.parsers import split_command
from lumen_conformance.targets.target import Target
from tests.fixtures.scenario_run import ScenarioResult, run_scenario
from tests.recovery import test_10_stop, test_11_port_and_identity, test_18_power_loss

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM")

CAN = frozenset({"launch", "health", "gateway", "drain"})
START_S = 30.0  # a start takes 0.2 s here; a server that is ready, or that refuses, does not wait for it
STOP, PORT, OUTAGE = test_10_stop, test_11_port_and_identity, test_18_power_loss
PASSED: dict[ModuleType, set[str]] = {
    STOP: {"10.1-sigterm-alone", "10.6-idle-connections", "10.8-no-process-left"},
    PORT: {"11.1-taken-silent", "11.2-taken-wildcard", "11.6-squatters-live"},
    OUTAGE: {"18.1-next-start"},
}


def judge(run: Run, folder: Path, scenario: ModuleType, kind: str = "draining", fault: str = "") -> ScenarioResult:
    """Judge a server of tests/fixtures/foreign by one scenario."""
    line = f"'{sys.executable}' -m tests.fixtures.foreign.{kind} {{host}} {{port}} {{gateway_url}} {fault}"
    command = split_command(line)
    target = Target(command=command, tool=(), can=CAN, profile="openai", foreign=True, start_s=START_S)
    return run_scenario(run, scenario, target, folder / "scenario")


@pytest.mark.parametrize("scenario", PASSED, ids=lambda each: each.__name__.rpartition(".")[2])
def test_a_healthy_server(run: Run, tmp_path: Path, scenario: ModuleType) -> None:
    """A healthy server passes the checks that need no journal."""
    ended = judge(run, tmp_path, scenario)
    assert (ended.failed, ended.ids("not_judged"), ended.ids("error")) == ({}, set(), set())
    assert ended.ids("passed") == PASSED[scenario]


FAULTS = {
    "cuts": {"10.1-sigterm-alone"},
    "ends-with-3": {"10.1-sigterm-alone", "10.6-idle-connections"},
    "leaves-a-process": {"10.8-no-process-left"},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_a_stop(run: Run, tmp_path: Path, fault: str) -> None:
    """A fault of a stop fails the checks that are about it."""
    assert set(judge(run, tmp_path, STOP, fault=fault).failed) == FAULTS[fault]
