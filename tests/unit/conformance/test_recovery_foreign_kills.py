"""Scenarios 5, 6 and 8 judge a server with forked workers that is not ours: each claim that does not hold is found."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from lumen_conformance.run import Run
from lumen_conformance.targets.target import Target
from tests.fixtures.scenario_run import run_scenario
from tests.recovery import test_05_kill_under_load, test_06_kill_in_stream, test_08_hang

pytestmark = pytest.mark.skipif(os.name == "nt", reason="this server forks, which Windows cannot")

COMMAND = (sys.executable, "-m", "tests.fixtures.foreign.prefork", "{host}", "{port}")
START_S = 10  # a start takes 0.2 s here
HANG_S = 1.0  # it has no watchdog, so any time is too short
CUT = "5.2-only-in-flight-cut"
WAITED = ("5.8-connect-in-the-gap", "5.9-answered-after-the-gap")


def target(*can: str, command: tuple[str, ...] = COMMAND) -> Target:
    """The server, with these capabilities."""
    declared = frozenset({"launch", "health", "restart", *can})
    return Target(
        command=command, tool=(), can=declared, profile="openai", foreign=True, start_s=START_S, hang_s=HANG_S
    )  # fmt: skip


def test_clients_that_wait_are_served(run: Run, tmp_path: Path) -> None:
    """Its clients wait in the backlog while no worker accepts, and are answered by the next one."""
    ended = run_scenario(run, test_05_kill_under_load, target(), tmp_path / "run", WAITED)
    assert ended.ids("passed") == set(WAITED), ended.failed


def test_a_server_that_has_ended(run: Run, tmp_path: Path) -> None:
    """A server that nothing restarts fails 5.1 and 5.3, which says why: no stage ends with an error."""
    single = (sys.executable, "-m", "tests.fixtures.foreign.single", "{host}", "{port}")
    ended = run_scenario(run, test_05_kill_under_load, target(command=single), tmp_path / "run", ("5.3-next-answer",))
    assert ended.ids("error") == set(), ended.outcomes
    # A client that connects while the process ends is cut or refused, as the system closes its sockets one by one.
    failed = ended.failed
    assert failed.pop(CUT, "17 lost").endswith(" lost"), failed
    assert set(failed) == {"5.1-nobody-refused", "5.3-next-answer"}
    assert failed["5.3-next-answer"] == "nothing serves after kill 1: the server ended with exit status -9"
    assert ended.ids("not_judged") == {"5.5-descriptors", "5.6-memory", "5.7-zombies"}


def test_a_cut_stream_looks_complete(run: Run, tmp_path: Path) -> None:
    """Its streams end with their connection, so a client cannot see that one was cut: 6.1 fails, and no other check."""
    ended = run_scenario(run, test_06_kill_in_stream, target(), tmp_path / "run")
    assert (ended.ids("failed"), ended.ids("error")) == ({"6.1-error-visible"}, set()), ended.outcomes


def test_a_hang_that_nobody_notices(run: Run, tmp_path: Path) -> None:
    """It has no watchdog: a stopped worker is not replaced, so 8.1 fails."""
    ended = run_scenario(run, test_08_hang, target("watchdog"), tmp_path / "run", ("8.1-stopped",))
    assert (ended.ids("failed"), ended.ids("error")) == ({"8.1-stopped"}, set()), ended.outcomes
