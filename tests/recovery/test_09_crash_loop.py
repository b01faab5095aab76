"""Scenario 9: workers die again and again; the restarts slow down, and after the limit the proxy gives up.

Setup: six loops, each a launch of its own. Conditions (`lumen_conformance.inject`) end each worker at its start; the
workers of the loop ``ready`` are killed as soon as they are ready, which must not count as success. The delays of the
first loop are drawn from the first hundredth of their range, so that they can be awaited.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from lumen_conformance.inject.lumen_conditions import PERMANENT_STATUS, conditions
from lumen_conformance.processes.process_tree import ProcessRef
from lumen_conformance.registry import MeasureFixture, NotJudged, check, expect
from lumen_conformance.stages.crash_loop import CrashLoop, LoopMonitor, ScheduledRestart
from lumen_conformance.stages.evidence import stage
from lumen_conformance.stages.stage_steps import StageStep
from lumen_conformance.targets.journal import BEGINNING, JournalMark
from lumen_conformance.targets.launch import LaunchedTarget, Launcher
from lumen_conformance.waiting import observe

pytestmark = pytest.mark.needs("journal")

LIMIT = 5  # LUMEN_MAX_RESTARTS, its default
GAVE_UP = 70
CAP_S = 30.0
BASE_S = 2.0
CAPS_S = (0.0, 2.0, 4.0, 8.0, 16.0, CAP_S, CAP_S)  # of the restarts: at once, then doubled up to the limit
UNLIMITED = {"LUMEN_MAX_RESTARTS": "0"}
SHORT_DELAYS = {"LUMEN_RESTART_BACKOFF_S": "0.01"}
# Five starts of an interpreter and its imports, 0.3 s each on an idle machine, and the time for a first start (check
# 1.1) on a busy one.
LOOP_S = 20.0
EXIT_S = 5.0  # after the last death nothing is left to do
AFTERWARDS_S = 0.5  # a proxy that ends with its last standby ends within milliseconds
WINDOW_S = 0.6  # twice a restart of an idle machine; a slow restart makes the time between two deaths longer
# A start of a worker takes 3 ms of the supervisor on an idle machine, of which most is the fork; four times that,
# and the start of the supervisor itself, 0.25 s.
CPU_S_PER_RESTART, CPU_S_OF_START = 0.012, 0.5
LOG_BYTES_PER_RESTART = 2_048  # three events of the journal with 250 bytes each, and a line for people
DELAY_SLACK_S = 0.001  # the journal rounds its times
LOGGED_SOURCE = "docs/behaviour.md: The journal"
RESTART_SOURCE = "docs/behaviour.md: LUMEN_MAX_RESTARTS"


@dataclass(frozen=True)
class StandbyEvidence(StageStep):
    """The evidence: how many standbys were killed, and the PID of the worker before and after; 0 = none answers."""

    deaths: int
    worker_before: int
    worker_after: int
    switched_off: int


@stage(scenario=9, needs=("journal",))
def slow(launch: Launcher) -> CrashLoop:
    """Let each worker die at its start, without a limit, until the delays have reached theirs."""
    env = UNLIMITED | {"LUMEN_RESTART_BACKOFF_S": f"{BASE_S:g}"} | conditions("ends-with-1", "jitter-is-short")
    proxy = launch(ready=False, env=env)
    monitor = LoopMonitor(launch, proxy)
    monitor.wait_deaths(len(CAPS_S) + 1, LOOP_S)  # each restart is between two deaths
    proxy.stop()
    return monitor.end(EXIT_S)


@stage(scenario=9, needs=("journal",))
def boot(launch: Launcher) -> CrashLoop:
    """Let each worker die at its start."""
    proxy = launch(port=launch.reserve_port(), ready=False, env=SHORT_DELAYS | conditions("ends-with-1"))
    monitor = LoopMonitor(launch, proxy)
    monitor.wait_deaths(LIMIT, LOOP_S)
    return monitor.end(EXIT_S, shown=True)


@stage(scenario=9, needs=("journal",))
def ready(launch: Launcher) -> CrashLoop:
    """Kill each worker as soon as it is ready."""
    proxy = launch(port=launch.reserve_port(), ready=False, env=SHORT_DELAYS)
    kill_ready_workers(proxy, LIMIT)
    return LoopMonitor(launch, proxy).end(EXIT_S, shown=True)


@stage(scenario=9, needs=("journal",))
def sustained(launch: Launcher) -> CrashLoop:
    """Kill workers that were ready for the whole window, with a limit of two deaths in it."""
    window = {"LUMEN_MAX_RESTARTS": "2", "LUMEN_RESTART_WINDOW_S": f"{WINDOW_S:g}"}
    proxy = launch(ready=False, env=SHORT_DELAYS | window)
    kill_ready_workers(proxy, 2, after_s=WINDOW_S + DELAY_SLACK_S)
    proxy.stop()
    return LoopMonitor(launch, proxy).end(EXIT_S)


@stage(scenario=9, needs=("journal",))
def permanent(launch: Launcher) -> CrashLoop:
    """Let each worker end with a status that no restart changes."""
    proxy = launch(ready=False, env=SHORT_DELAYS | conditions("ends-with-78"))
    monitor = LoopMonitor(launch, proxy)
    monitor.wait_deaths(LIMIT, LOOP_S)
    return monitor.end(EXIT_S)


@stage(scenario=9, needs=("journal",))
def status_0(launch: Launcher) -> CrashLoop:
    """Let each worker end with status 0, as after a stop."""
    proxy = launch(ready=False, env=SHORT_DELAYS | conditions("ends-with-0"))
    monitor = LoopMonitor(launch, proxy)
    monitor.wait_deaths(LIMIT, LOOP_S)
    return monitor.end(EXIT_S)


@stage(scenario=9, needs=("journal",))
def standby(launch: Launcher) -> StandbyEvidence:
    """Kill each standby as soon as it is ready, until none is started."""
    proxy = launch(env=SHORT_DELAYS)
    before, mark, deaths = proxy.health().pid, BEGINNING, 0
    for _ in range(LIMIT):
        if not (event := proxy.journal.observe("standby_ready", since=mark, within_s=LOOP_S)):
            break
        mark = proxy.journal.mark()
        ProcessRef.of(event["pid"]).kill()
        deaths += bool(proxy.journal.observe("standby_died", since=mark, within_s=EXIT_S))
    off = proxy.journal.observe("standby_off", within_s=EXIT_S)
    observe("the proxy has ended", proxy.end_reason, within_s=AFTERWARDS_S)
    return StandbyEvidence(deaths, before, proxy.health().pid, int(off is not None))


def kill_ready_workers(proxy: LaunchedTarget, kills: int, after_s: float = 0.0) -> None:
    """Kill the worker of each event ``ready`` so many seconds after it, until no worker follows."""
    mark: JournalMark = BEGINNING
    for _ in range(kills):
        if not (event := proxy.journal.observe("ready", since=mark, within_s=LOOP_S)):
            return
        observe("it has ended", proxy.end_reason, within_s=after_s)
        mark = proxy.journal.mark()
        ProcessRef.of(event["pid"]).kill()
    proxy.journal.observe("ready", since=mark, within_s=LOOP_S)


@check("9.1-delays-double", source=RESTART_SOURCE)
def test_delays_double(slow: CrashLoop) -> None:
    """The first restart has no delay; then the limit of the delay doubles with each death, up to 30 s."""
    caps_s = tuple(restart.delay_cap_s for restart in slow.restarts[: len(CAPS_S)])
    expect(caps_s == CAPS_S, f"the limits {CAPS_S} s of the first delays", f"{caps_s} s")


@check("9.2-delay-within-limit", source=RESTART_SOURCE)
def test_delay_is_within_its_limit(slow: CrashLoop) -> None:
    """Each delay in the journal is between 0 and its limit."""
    for restart in restarts_of(slow):
        found = f"{restart.delay_s:.6g} s"
        expect(0 <= restart.delay_s <= restart.delay_cap_s, f"a delay of 0 to {restart.delay_cap_s:.6g} s", found)


@check("9.3-delay-is-waited", source=RESTART_SOURCE)
def test_delay_is_waited(slow: CrashLoop, measure: MeasureFixture) -> None:
    """After each death at least the delay of the journal passes before the next worker is started."""
    for restart in restarts_of(slow):
        waited = restart.gap_s is not None and restart.gap_s >= restart.delay_s - DELAY_SLACK_S
        expect(waited, f"a worker at least {restart.delay_s:.3f} s after the death", f"after {restart.gap_s} s")
    measure(max(restart.delay_s for restart in slow.restarts), "s", label="longest delay")


@check("9.4-little-processor-time", tier="S", source="docs/architecture.md: A kill: the supervisor polls nothing")
def test_little_processor_time(slow: CrashLoop, measure: MeasureFixture) -> None:
    """A loop of crashes costs the supervisor little processor time."""
    budget_s = CPU_S_OF_START + CPU_S_PER_RESTART * len(restarts_of(slow))
    measure(slow.cpu_s, "s", budget_s)
    expect(slow.cpu_s <= budget_s, f"at most {budget_s:.2f} s of processor time", f"{slow.cpu_s:.2f} s")


@check("9.5-little-log", tier="S", source=LOGGED_SOURCE)
def test_little_log(slow: CrashLoop, measure: MeasureFixture) -> None:
    """A loop of crashes writes little into the logs."""
    budget = LOG_BYTES_PER_RESTART * (len(restarts_of(slow)) + 2)  # beginning and end of the proxy are logged as well
    measure(slow.log_bytes, "bytes", budget)
    expect(slow.log_bytes <= budget, f"at most {budget} bytes of logs", f"{slow.log_bytes} bytes")


@check("9.6-gives-up", source=RESTART_SOURCE)
def test_gives_up(boot: CrashLoop) -> None:
    """After five deaths during the boot the proxy gives up, not earlier and not later."""
    expect_given_up(boot)


@check("9.7-ready-is-no-success", source="docs/behaviour.md: LUMEN_RESTART_WINDOW_S")
def test_ready_does_not_reset_the_count(ready: CrashLoop) -> None:
    """Workers that die after they were ready count in the same way: one ready worker does not reset the count."""
    expect_given_up(ready)


@check("9.8-exit-status", source="sysexits(3): EX_SOFTWARE is 70")
def test_exit_status(boot: CrashLoop, ready: CrashLoop) -> None:
    """A proxy that gives up ends with status 70."""
    for loop in given_up(boot, ready):
        expect(loop.exit_status == GAVE_UP, f"exit status {GAVE_UP}", f"exit status {loop.exit_status}")


@check("9.9-listener-closed", source="docs/adr/0003-supervisor-holds-the-socket.md: if the supervisor gives up")
def test_listener_is_closed(boot: CrashLoop, ready: CrashLoop) -> None:
    """A proxy that gives up closes its port, so that clients are refused at once."""
    for loop in given_up(boot, ready):
        expect(loop.is_port_free, f"a free port within {EXIT_S:g} s", "the port is taken")


@check("9.10-reason-in-status", source="docs/behaviour.md: Instances")
def test_status_has_the_reason(boot: CrashLoop, ready: CrashLoop) -> None:
    """`lumen-proxy status` says that the proxy gave up, after how many deaths, and how the last worker ended."""
    for loop in given_up(boot, ready):
        cause = "exit status 1" if loop is boot else "signal 9"
        expect(loop.state == "gave up", "the state 'gave up'", loop.state)
        known = f": {LIMIT} worker exits" in loop.last_failure and cause in loop.last_failure
        expect(known, f"a last failure with {LIMIT} worker exits and {cause}", loop.last_failure)


@check("9.11-permanent-status", source="sysexits(3): EX_CONFIG is 78")
def test_permanent_status_is_final(permanent: CrashLoop) -> None:
    """A worker that ends with a permanent status is not restarted, and the proxy ends with the same status."""
    found = f"the deaths {permanent.deaths}, exit status {permanent.exit_status}"
    is_final = (permanent.deaths, permanent.exit_status) == ((PERMANENT_STATUS,), PERMANENT_STATUS)
    expect(is_final, f"one death, exit status {PERMANENT_STATUS} of worker and proxy", found)
    expect(not permanent.restarts, "no restart in the journal", f"{len(permanent.restarts)} restarts")


@check("9.12-status-0", source=RESTART_SOURCE)
def test_status_0_is_a_death(status_0: CrashLoop) -> None:
    """A worker that ends with status 0 and was not told to is restarted, and counts as a death."""
    found = f"{len(status_0.deaths)} deaths, exit status {status_0.exit_status}"
    counted = (len(status_0.deaths), status_0.exit_status) == (LIMIT, GAVE_UP)
    expect(counted, f"{LIMIT} deaths, exit status {GAVE_UP}", found)


@check("9.13-window", source="docs/behaviour.md: LUMEN_RESTART_WINDOW_S")
def test_a_whole_window_resets(sustained: CrashLoop) -> None:
    """A worker that was ready for the whole window resets the count: the next restart has no delay."""
    caps_s = tuple(restart.delay_cap_s for restart in sustained.restarts)
    expect(not sustained.gave_up, "a proxy that goes on after two deaths", f"it gave up after {sustained.gave_up}")
    expect(caps_s == (0.0, 0.0), "two restarts without a delay", f"restarts with limits of {caps_s} s")


@check("9.14-causes", source=LOGGED_SOURCE)
def test_causes_are_in_the_journal(boot: CrashLoop, ready: CrashLoop, status_0: CrashLoop) -> None:
    """The journal has each death with its exit status or signal."""
    for loop, cause in ((boot, 1), (ready, -9), (status_0, 0)):
        expect(set(loop.deaths) == {cause}, f"deaths with exit status {cause}, minus = signal", f"{loop.deaths}")


@check("9.15-starts", source=LOGGED_SOURCE)
def test_starts_are_in_the_journal(boot: CrashLoop) -> None:
    """The journal has each start of a worker."""
    deaths = len(boot.deaths)
    if not deaths:
        raise NotJudged("the journal has no deaths", ("9.14-causes",))
    expect(boot.spawned == deaths, f"{deaths} events worker_spawned", f"{boot.spawned}")


@check("9.16-generations", source="docs/adr/0003-supervisor-holds-the-socket.md: a promotion is a generation")
def test_promotions_are_counted(ready: CrashLoop) -> None:
    """Each worker that becomes ready has the next generation, whatever else was started meanwhile."""
    expected = tuple(range(1, len(ready.generations) + 1))
    expect(ready.generations == expected, f"the generations {expected}", f"{ready.generations}")


@check("9.17-delay-after-ready", source="docs/behaviour.md: LUMEN_RESTART_WINDOW_S")
def test_ready_does_not_reset_the_delay(ready: CrashLoop) -> None:
    """The limit of the delay grows with each death, although the workers were ready."""
    caps_s = tuple(restart.delay_cap_s for restart in ready.restarts)
    grows = bool(caps_s) and caps_s == tuple(sorted(set(caps_s)))
    expect(grows, "a higher limit of the delay after each death", f"{caps_s} s")


@check("9.18-standby", source="docs/behaviour.md: LUMEN_STANDBY")
def test_deaths_of_a_standby(standby: StandbyEvidence) -> None:
    """When its standby dies again and again the proxy goes on without one: the same worker answers."""
    if standby.deaths < LIMIT:
        raise NotJudged(f"only {standby.deaths} standbys were started", ())
    found = f"worker {standby.worker_after or 'none'}, {standby.switched_off} events standby_off"
    same = standby.worker_before == standby.worker_after
    expect(same and standby.switched_off == 1, f"worker {standby.worker_before}, 1 event standby_off", found)


def restarts_of(loop: CrashLoop) -> tuple[ScheduledRestart, ...]:
    """Return the restarts that were awaited; without one nothing is judged but 9.1."""
    if not loop.restarts:
        raise NotJudged("the journal has no restart", ("9.1-delays-double",))
    return loop.restarts[: len(CAPS_S)]


def given_up(*loops: CrashLoop) -> tuple[CrashLoop, ...]:
    """Return the loops in which the proxy gave up; without one nothing is judged."""
    if not any(loop.gave_up for loop in loops):
        raise NotJudged("the proxy did not give up", ("9.6-gives-up", "9.7-ready-is-no-success"))
    return tuple(loop for loop in loops if loop.gave_up)


def expect_given_up(loop: CrashLoop) -> None:
    """Expect that the proxy gave up after the limit of deaths."""
    found = f"{len(loop.deaths)} deaths, gave up after {loop.gave_up}"
    expect((len(loop.deaths), loop.gave_up) == (LIMIT, (LIMIT,)), f"{LIMIT} deaths, gave up after ({LIMIT},)", found)
