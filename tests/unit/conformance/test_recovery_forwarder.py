"""Every recovery scenario against a healthy server that is not ours: what applies passes, and nothing ends in an error.

The server forwards to the scripted gateway and replaces its child, so all capabilities of a foreign server apply.
`test_recovery_foreign` has the faults of scenarios 1, 2 and 4.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from lumen_conformance.run import Run
from lumen_conformance.targets.target import Target
from tests.fixtures.scenario_run import run_scenario, scenarios

pytestmark = pytest.mark.skipif(os.name == "nt", reason="this server forks, which Windows cannot")

COMMAND = (
    sys.executable, "-m", "lumen_conformance.examples.forwarder", "{host}", "{port}", "{gateway_url}", "forks",
)  # fmt: skip
CAN = frozenset({"launch", "health", "gateway", "restart"})
ELSEWHERE = {"1", "2", "4"}  # see `test_recovery_foreign`
# One check of each scenario that must be judged here: a scenario that does not apply to this server would show nothing.
JUDGED: Mapping[str, str] = {
    "5": "5.1-nobody-refused",
    "6": "6.4-next-chat",
    "12": "12.8-health-throughout",
    "13": "13.3-no-spin",
}
REST = sorted(set(scenarios()) - ELSEWHERE, key=int)


@pytest.mark.parametrize("number", REST)
def test_a_healthy_forwarder(number: str, run: Run, tmp_path: Path) -> None:
    """A healthy server passes the checks of this scenario that apply to it."""
    target = Target(command=COMMAND, tool=(), can=CAN, profile="openai", foreign=True, start_s=30.0)
    ended = run_scenario(run, scenarios()[number], target, tmp_path / number)
    assert (ended.failed, ended.ids("error"), ended.ids("not_judged")) == ({}, set(), set())
    assert not JUDGED.get(number) or JUDGED[number] in ended.ids("passed")
