"""Scenario 16: a worker that hangs while it boots is ended and counted; after five in a row the proxy gives up.

Setup: a condition (`lumen_conformance.inject`) lets each worker hang in the middle of its imports. In the first launch
another one shortens the limit of a boot, which is 30 s otherwise; the deaths there are further apart than the window in
which deaths are counted, so that only the rule about boots in a row can end the loop. In the second launch the boot
hangs while other commands look at the proxy.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from lumen_conformance.inject.lumen_conditions import BOOT_LIMIT_S, MARK, conditions
from lumen_conformance.processes.process_tree import kill_all
from lumen_conformance.registry import MeasureFixture, NotJudged, check, expect
from lumen_conformance.stages.crash_loop import CrashLoop, LoopMonitor, read_status
from lumen_conformance.stages.evidence import stage
from lumen_conformance.stages.stage_steps import StageStep
from lumen_conformance.targets.launch import Launcher
from lumen_conformance.waiting import WaitError, observe

pytestmark = pytest.mark.needs("journal")

LIMIT = 5  # LUMEN_MAX_RESTARTS, its default
GAVE_UP = 70
KILLED = -9
SHOWN_CHARS = 200  # of what a command prints: its first line
# Shorter than a boot that hangs, so that two of them never count together; the least value of this setting.
SETTINGS = {"LUMEN_RESTART_WINDOW_S": "0.1", "LUMEN_RESTART_BACKOFF_S": "0.01"}
LOOP_S = 20.0  # five boots of 0.25 s on an idle machine, and the time for a start (check 1.1) on a busy one
EXIT_S = 5.0  # after the last death nothing is left to do
BOOTING_S = 10.0  # until a worker is in its imports: check 1.1


@dataclass(frozen=True)
class BootingEvidence(StageStep):
    """The evidence: what `lumen-proxy status` shows during a boot that hangs, and the end after a stop."""

    has_begun: bool
    condition: str = ""
    state: str = ""
    exit_status: int | None = None
    left: int = 0
    events: tuple[str, ...] = ()


@stage(scenario=16, needs=("journal",))
def hanging(launch: Launcher) -> CrashLoop:
    """Let each boot hang, with a short limit."""
    env = SETTINGS | conditions("hangs-at-import", "boot-limit-is-short")
    proxy = launch(port=launch.reserve_port(), ready=False, env=env)
    monitor = LoopMonitor(launch, proxy)
    monitor.wait_deaths(LIMIT, LOOP_S)
    return monitor.end(EXIT_S, shown=True)


@stage(scenario=16, needs=("journal",))
def booting(launch: Launcher) -> BootingEvidence:
    """Look at a proxy whose first boot hangs, and stop it."""
    proxy = launch(ready=False, env=conditions("has-a-child", "hangs-at-import"))
    mark = f"{MARK} hangs".encode()
    if not observe("the boot hangs", lambda: mark in proxy.stderr.read_bytes(), within_s=BOOTING_S):
        return BootingEvidence(has_begun=False)
    (started,) = proxy.journal.events(name="started")
    shown = read_status(launch, proxy, started["port"])
    proxy.stop()
    status = proxy.observe_exit(EXIT_S)
    observe("all have ended", lambda: not proxy.processes(), within_s=EXIT_S)
    left = proxy.processes()
    kill_all(left)
    return BootingEvidence(
        has_begun=True,
        condition=str(shown.get("condition")),
        state=str(shown.get("state")),
        exit_status=status,
        left=len(left),
        events=tuple(event.name for event in proxy.journal.events()),
    )


@dataclass(frozen=True)
class StartEvidence(StageStep):
    """The evidence: how `lumen-proxy start` ended while each boot hung, None = not in time, and what it printed."""

    exit_status: int | None
    printed: str


@stage(scenario=16, needs=("journal",))
def start(launch: Launcher, folder: Path) -> StartEvidence:
    """Start a proxy in the background, each boot of which hangs."""
    env = SETTINGS | {"LUMEN_MAX_RESTARTS": "2"} | conditions("hangs-at-import", "boot-limit-is-short")
    port = ("--port", str(launch.reserve_port()))
    folders = {"LUMEN_STATE_DIR": str(folder / "state"), "LUMEN_LOG_DIR": str(folder / "log")}
    try:
        ended = launch.run("start", *port, env=env | folders, within_s=LOOP_S)
    except WaitError as error:
        return StartEvidence(None, str(error).partition("\n")[0])
    finally:
        launch.run("stop", *port, env=folders)
    return StartEvidence(ended.exit_status, ended.stdout + ended.stderr)


@check("16.1-ended-and-counted", source="docs/behaviour.md: LUMEN_MAX_RESTARTS")
def test_a_boot_that_hangs_is_ended(hanging: CrashLoop, measure: MeasureFixture) -> None:
    """A worker whose boot hangs is killed after the limit of a boot, and its death is in the journal."""
    killed = sum(death == KILLED for death in hanging.deaths)
    measure(hanging.elapsed_s, "s", label="whole loop", headline=True)
    expect(killed >= LIMIT, f"at least {LIMIT} deaths by signal 9 after {BOOT_LIMIT_S:g} s each", f"{hanging.deaths}")


@check("16.2-gives-up", source="docs/behaviour.md: LUMEN_MAX_RESTARTS")
def test_gives_up_after_boots_in_a_row(hanging: CrashLoop) -> None:
    """After five boots in a row that hang the proxy gives up with status 70, however long they took."""
    if not hanging.deaths:
        raise NotJudged("no boot that hangs was ended", ("16.1-ended-and-counted",))
    expected = f"{LIMIT} deaths, 1 event gave_up, exit status {GAVE_UP}"
    found = f"{len(hanging.deaths)} deaths, {len(hanging.gave_up)} events gave_up, exit status {hanging.exit_status}"
    is_given_up = (len(hanging.deaths), len(hanging.gave_up), hanging.exit_status) == (LIMIT, 1, GAVE_UP)
    expect(is_given_up, expected, found)
    expect(hanging.is_port_free, "the port is free", "it is taken")


@check("16.3-reason-in-status", source="docs/behaviour.md: Instances")
def test_status_has_the_reason(hanging: CrashLoop) -> None:
    """`lumen-proxy status` says that the proxy gave up, and after how many boots."""
    if hanging.exit_status != GAVE_UP:
        raise NotJudged("the proxy did not give up", ("16.2-gives-up",))
    expect(hanging.state == "gave up", "the state 'gave up'", hanging.state)
    expect(str(LIMIT) in hanging.last_failure, f"a last failure with {LIMIT}", hanging.last_failure)


@check("16.4-status-booting", source="docs/behaviour.md: Instances")
def test_status_says_booting(booting: BootingEvidence) -> None:
    """While the first boot hangs `lumen-proxy status` says that the proxy is booting."""
    shown = (begun(booting).condition, booting.state)
    expect(shown == ("booting", "booting"), "condition and state 'booting'", f"{shown}")


@check("16.5-stop-is-clean", source="docs/behaviour.md: Commands")
def test_stop_is_clean(booting: BootingEvidence) -> None:
    """A stop while the boot hangs ends the proxy with status 0, with its worker and a child of that; it is no death."""
    found = f"exit status {begun(booting).exit_status}, {booting.left} processes left"
    expect((booting.exit_status, booting.left) == (0, 0), "exit status 0, 0 processes left", found)
    expect("worker_died" not in booting.events, "no event worker_died", ", ".join(booting.events))


@check("16.6-start-says-so", source="docs/behaviour.md: Commands")
def test_start_does_not_report_success(start: StartEvidence) -> None:
    """`lumen-proxy start` ends with status 70 when no boot ends, and does not say that the proxy is ready."""
    found = f"exit status {start.exit_status}: {start.printed[:SHOWN_CHARS]!r}"
    expect(start.exit_status == GAVE_UP and "ready on" not in start.printed, f"exit status {GAVE_UP}", found)


def begun(booting: BootingEvidence) -> BootingEvidence:
    """Return the evidence; without a boot that hangs nothing is judged."""
    if not booting.has_begun:
        raise NotJudged("no boot was reached", ())
    return booting
