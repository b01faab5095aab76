"""Scenario 10: a stop finishes the work in flight, whichever processes get the signal, and leaves nothing behind.

Setup: a gate holds a question at the gateway, so that it is certainly in flight. A terminal (Ctrl-C) and a control
group of systemd send the signal to all processes: the server must drain as after a signal to the supervisor alone.
Then stops with a difficulty: work that does not end, a worker that does not drain or that dies, a second signal, an
idle connection, a boot in progress, the commands `start` and `stop`.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.processes.child_process import WINDOWS
from lumen_conformance.registry import NotJudged, check, check_each, expect
from lumen_conformance.stages.control_commands import CommandEvidence, start_and_stop
from lumen_conformance.stages.difficult_stops import (
    BootEvidence,
    CutEvidence,
    HurriedEvidence,
    kill_in_drain,
    stop_boot,
    stop_endless_work,
    stop_suspended_worker,
    stop_twice,
)
from lumen_conformance.stages.drain import (
    HELD,
    STOP_BUDGET_S,
    DrainEvidence,
    Ending,
    drain,
    observe_end,
)
from lumen_conformance.stages.evidence import stage
from lumen_conformance.targets.launch import LaunchedTarget, Launcher
from lumen_conformance.targets.target import Target

CUT, UNAVAILABLE = 70, 503
OURS = pytest.mark.needs("journal")
DRAINS = pytest.mark.needs("drain", "gateway")
STOPPED_BY_SIGNAL = frozenset((0, -signal.SIGTERM, 128 + signal.SIGTERM))  # what other servers end with
ADR = "docs/adr/0003-supervisor-holds-the-socket.md"

SIGNALS: dict[str, Callable[[LaunchedTarget], None]] = {
    "sigterm-alone": lambda proxy: proxy.stop(),
    "sigterm-group": lambda proxy: proxy.send_group(signal.SIGTERM),
    "ctrl-c-group": lambda proxy: proxy.send_group(signal.SIGINT),
    "sighup-alone": lambda proxy: proxy.send(signal.SIGHUP),
}
ALONE = "sigterm-alone"
if WINDOWS:  # a group gets CTRL_BREAK there, which is what stop() sends
    SIGNALS = {ALONE: SIGNALS[ALONE]}
NAMES = {"sigterm-alone": "SIGTERM", "sigterm-group": "SIGTERM", "ctrl-c-group": "SIGINT", "sighup-alone": "SIGHUP"}


@stage(scenario=10, needs=("drain", "gateway"))
def drained(launch: Launcher, gateway: ScriptedGateway, target: Target) -> dict[str, DrainEvidence]:
    """Stop by each signal: a foreign server by the one that every service manager sends."""
    names = SIGNALS if "journal" in target.can else {ALONE: SIGNALS[ALONE]}
    return {name: drain(launch(gateway=gateway), gateway, send) for name, send in names.items()}


@check_each(
    "name",
    {"10.1-sigterm-alone": ALONE},
    marks=(DRAINS,),
    source="POSIX, General Terminal Interface: INTR; docs/behaviour.md: LUMEN_DRAIN_S",
)
def test_work_in_flight_is_finished(drained: dict[str, DrainEvidence], target: Target, name: str) -> None:
    """After a stop (sigterm alone) the held question is answered; the server ends with status 0 and frees its port."""
    expect_finished(drained[name], STOPPED_BY_SIGNAL if target.foreign else {0})


GROUPS = {
    "10.2-sigterm-group": "sigterm-group",
    "10.3-ctrl-c-group": "ctrl-c-group",
    "10.7-sighup-alone": "sighup-alone",
}


@check_each(
    "name",
    {} if WINDOWS else GROUPS,
    marks=(DRAINS, OURS),
    source="POSIX, General Terminal Interface: INTR; docs/behaviour.md: LUMEN_DRAIN_S",
)
def test_work_is_finished_after_any_signal(drained: dict[str, DrainEvidence], name: str) -> None:
    """After a stop ({row}) the held question is answered, and the proxy ends with status 0 and frees its port."""
    expect_finished(drained[name], {0})


def expect_finished(one: DrainEvidence, statuses: frozenset[int] | set[int]) -> None:
    expected = f"the held question is answered: status 200 with the text {HELD!r}"
    expect(one.answer_status == 200 and HELD in one.answer, expected, f"status {one.answer_status}: {one.answer!r}")
    expected = f"the launch ends with exit status {' or '.join(map(str, sorted(statuses, reverse=True)))}"
    expect(one.end.exit_status in statuses, expected, one.end.describe())
    expect(one.end.is_port_free, "the port can be bound", "it cannot be bound")


@check("10.8-no-process-left", marks=(DRAINS,), source=ADR)
def test_no_process_is_left(drained: dict[str, DrainEvidence]) -> None:
    """After a stop no process of the launch is left."""
    left = {name: one.end.processes_left for name, one in drained.items() if one.end.processes_left}
    expect(not left, "no process of the launch runs after its end", f"processes that are left: {left}")


@check("10.9-no-worker-died", marks=(DRAINS, OURS), source=ADR)
def test_no_worker_dies(drained: dict[str, DrainEvidence]) -> None:
    """A stop signal ends no worker, whichever processes get it: the journal has no worker_died."""
    died = {name for name, one in drained.items() if one.end.list_events("worker_died")}
    expect(not died, "no worker_died in the journal", f"worker_died after {', '.join(sorted(died))}")


@check("10.10-not-ready", marks=(DRAINS, OURS), source="docs/behaviour.md: /ready")
def test_it_is_not_ready(drained: dict[str, DrainEvidence]) -> None:
    """While the proxy drains, /ready answers 503."""
    found = [one.ready_status for one in drained.values() if one.answer_status == 200]
    require_answers(found)
    expect(set(found) == {UNAVAILABLE}, f"/ready with status {UNAVAILABLE}", f"statuses {found}")


@check("10.11-chats-refused", marks=(DRAINS, OURS), source="docs/behaviour.md: shutting_down")
def test_new_chats_are_refused(drained: dict[str, DrainEvidence]) -> None:
    """While the proxy drains, a new chat is refused with status 503 and the code shutting_down."""
    found = [(one.chat_status, one.chat_code) for one in drained.values() if one.answer_status == 200]
    require_answers(found)
    expect(set(found) == {(UNAVAILABLE, "shutting_down")}, "status 503 and the code shutting_down", f"{found}")


def require_answers(found: list[object] | list[int | None] | list[tuple[int | None, str]]) -> None:
    """Do not judge drains without a drain: the proxy ended at once."""
    if not found:
        raise NotJudged("no signal was followed by a drain", ("10.1-sigterm-alone",))


@check("10.12-signal-recorded", marks=(DRAINS, OURS), source="docs/behaviour.md: journal")
def test_the_journal_has_the_signal(drained: dict[str, DrainEvidence]) -> None:
    """The journal has the signal of each stop: draining with its reason."""
    found = {name: [event["reason"] for event in one.end.list_events("draining")] for name, one in drained.items()}
    ended = clean(drained)
    expected = {name: [NAMES[name]] for name in ended}
    expect({name: found[name] for name in ended} == expected, f"the reasons {expected}", f"{found}")


@check("10.13-drained-recorded", marks=(DRAINS, OURS), source="docs/behaviour.md: journal")
def test_the_journal_has_the_drain(drained: dict[str, DrainEvidence]) -> None:
    """The journal has the end of each drain: drained, with no request cut."""
    found = [[event["cut"] for event in one.end.list_events("drained")] for one in clean(drained).values()]
    expect(all(each == [0] for each in found), "drained with cut 0, once for each stop", f"{found}")


@check("10.14-stopped-recorded", marks=(DRAINS, OURS), source="docs/behaviour.md: journal")
def test_the_journal_has_the_end(drained: dict[str, DrainEvidence]) -> None:
    """The last event of the journal after a stop is stopped, with the exit status."""
    last = [one.end.events[-1:] for one in clean(drained).values()]
    found = [(event.name, event.fields.get("exit_status")) for events in last for event in events]
    expect(found == [("stopped", 0)] * len(last), "stopped with exit status 0 as the last event", f"{found}")


def clean(drained: dict[str, DrainEvidence]) -> dict[str, DrainEvidence]:
    """Return the stops that ended with status 0; without one nothing is judged."""
    ended = {name: one for name, one in drained.items() if one.end.exit_status == 0}
    if not ended:
        raise NotJudged("no stop ended with status 0", ("10.1-sigterm-alone",))
    return ended


@stage(scenario=10)
def hurried(launch: Launcher, gateway: ScriptedGateway) -> HurriedEvidence:
    """Send a second signal while a question is held."""
    return stop_twice(launch, gateway)


@check(
    "10.4-second-signal",
    marks=(OURS,),
    source=f"{ADR}: a second signal means at once",
)
def test_second_signal_ends_at_once(hurried: HurriedEvidence) -> None:
    """A second signal ends the proxy without the work in flight, and the exit status says that it was cut."""
    expect_cut(hurried.end)
    expect(hurried.answer_status != 200, "no answer to the held question", f"status {hurried.answer_status}")


def expect_cut(end: Ending) -> None:
    expect(end.exit_status == CUT, f"exit status {CUT}", end.describe())
    left = f"processes: {end.processes_left}, port free: {end.is_port_free}"
    expect((end.processes_left, end.is_port_free) == (0, True), "no process is left, and the port is free", left)


@stage(scenario=10)
def endless(launch: Launcher, gateway: ScriptedGateway) -> CutEvidence:
    """Stop while a stream and a question are held that do not end."""
    return stop_endless_work(launch, gateway)


@check(
    "10.5-drain-deadline",
    marks=(OURS,),
    source="docs/behaviour.md: LUMEN_DRAIN_S; systemd.service(5): TimeoutStopSec=",
)
def test_drain_has_a_deadline(endless: CutEvidence) -> None:
    """Work that does not end is cut at the deadline, and the exit status says that it was cut."""
    expect_cut(endless.end)


@check("10.5.1-error-event", marks=(OURS,), source="docs/behaviour.md: LUMEN_DRAIN_S")
def test_a_cut_stream_ends_with_an_error(endless: CutEvidence) -> None:
    """A stream that the deadline cuts ends with an error event, and has neither a finish_reason stop nor [DONE]."""
    events = endless.stream.strip().split("\n\n")
    is_error = events[-1].startswith("data: ") and '"shutting_down"' in events[-1]
    expect(is_error, "a last event with the error shutting_down", repr(events[-1]))
    complete = [
        text for text in ("[DONE]", '"finish_reason": "stop"', '"finish_reason":"stop"') if text in endless.stream
    ]
    expect(not complete, "no sign of a complete stream", f"the stream has {complete}")


@check("10.5.2-error-answer", marks=(OURS,), source="docs/behaviour.md: shutting_down")
def test_a_cut_answer_is_an_error(endless: CutEvidence) -> None:
    """A question that the deadline cuts is answered with status 503 and the code shutting_down."""
    found = (endless.answer_status, endless.answer_code)
    expect(found == (UNAVAILABLE, "shutting_down"), "status 503 and the code shutting_down", f"{found}")


@check("10.5.3-cut-recorded", marks=(OURS,), source="docs/behaviour.md: journal")
def test_the_journal_has_what_was_cut(endless: CutEvidence) -> None:
    """The journal has the number of requests that the deadline cut, and the exit status."""
    cut = [event["cut"] for event in endless.end.list_events("drained")]
    expect(cut == [2], "drained with cut 2", f"cut: {cut}")
    status = [event["exit_status"] for event in endless.end.list_events("stopped")]
    expect(status == [endless.end.exit_status], "stopped with the exit status of the process", f"{status}")


@stage(scenario=10)
def ignored(launch: Launcher, gateway: ScriptedGateway) -> Ending:
    """Stop a proxy whose worker is suspended, so that it cannot drain."""
    return stop_suspended_worker(launch, gateway)


@check("10.15-worker-ignores-drain", marks=(OURS,), source=ADR)
def test_the_supervisor_has_a_deadline(ignored: Ending) -> None:
    """A worker that does not drain is killed by the supervisor soon after the deadline, and the exit status says so."""
    expect_cut(ignored)


@stage(scenario=10)
def bereaved(launch: Launcher, gateway: ScriptedGateway) -> Ending:
    """Kill the worker in a drain."""
    return kill_in_drain(launch, gateway)


@check("10.16-death-in-drain", marks=(OURS,), source=ADR)
def test_no_restart_in_a_drain(bereaved: Ending) -> None:
    """A worker that dies in a drain is not restarted, and the exit status says that work was cut."""
    events = [event.name for event in bereaved.events]
    after = events[events.index("draining") :] if "draining" in events else []
    started = sorted({"worker_spawned", "restart_scheduled"} & set(after))
    expect(not started, "no start of a worker after the event draining", f"events: {', '.join(started)}")
    expect_cut(bereaved)


@check("10.16.1-death-recorded", marks=(OURS,), source="docs/behaviour.md: journal")
def test_the_death_is_recorded(bereaved: Ending) -> None:
    """The journal has the worker that died in a drain, and its signal."""
    signals = [event.fields.get("signal") for event in bereaved.list_events("worker_died")]
    expect(signals == [int(signal.SIGKILL)], f"worker_died with signal {int(signal.SIGKILL)}", f"signals: {signals}")


@stage(scenario=10, needs=("drain",))
def idle(launch: Launcher, gateway: ScriptedGateway) -> Ending:
    """Stop with an idle connection that stays open."""
    proxy = launch(gateway=gateway)
    with proxy.connection() as connection:
        connection.call("GET", proxy.target.probe_path)
        proxy.stop()
        return observe_end(proxy)


@check(
    "10.6-idle-connections",
    marks=(pytest.mark.needs("drain"),),
    source="RFC 9112, 9.5: a server may close a connection at any time",
)
def test_idle_stop_is_clean(idle: Ending, target: Target) -> None:
    """An idle connection does not delay a stop: the server ends with status 0 and frees its port."""
    statuses = STOPPED_BY_SIGNAL if target.foreign else {0}
    expect(idle.exit_status in statuses, f"an end within {STOP_BUDGET_S:g} s, with status 0", idle.describe())
    expect(idle.is_port_free, "the port can be bound", "it cannot be bound")


@stage(scenario=10)
def interrupted(launch: Launcher, gateway: ScriptedGateway, folder: Path) -> BootEvidence:
    """Stop a proxy whose first worker boots."""
    return stop_boot(launch, gateway, folder)


@check("10.17-stop-during-boot", marks=(OURS,), source="sysexits(3): EX_OK")
def test_a_stop_during_the_boot_is_clean(interrupted: BootEvidence) -> None:
    """A stop before the proxy is ready ends it with status 0."""
    if interrupted.was_ready:
        raise NotJudged("the proxy was ready before the stop", ("1.1-initial-start",))
    expect(interrupted.end.exit_status == 0, "exit status 0", interrupted.end.describe())


@stage(scenario=10)
def commanded(launch: Launcher, gateway: ScriptedGateway, folder: Path) -> CommandEvidence:
    """Start a proxy in the background while its boot is held, and stop it while a question is held."""
    return start_and_stop(launch, gateway, folder)


@check("10.18-start-waits", marks=(OURS,), source="QUICKSTART.md: lumen-proxy start")
def test_start_waits_until_it_is_ready(commanded: CommandEvidence) -> None:
    """`lumen-proxy start` ends when the proxy answers, and not before."""
    expect(not commanded.started_early, "start waits while the worker boots", "it ended while the worker booted")
    found = (commanded.start_status, commanded.health_status)
    expect(found == (0, 200), "exit status 0, and /health is answered with 200 at once", f"{found}")


@check("10.19-stop-waits", marks=(OURS,), source="QUICKSTART.md: lumen-proxy stop")
def test_stop_waits_for_the_end(commanded: CommandEvidence) -> None:
    """`lumen-proxy stop` ends when the processes and the port are gone, and not before."""
    left = f"processes: {commanded.processes_left}, port free: {commanded.is_port_free}"
    is_gone = commanded.processes_left == 0 and commanded.is_port_free
    expect(is_gone, "no process is left and the port is free when stop ends", left)
    expect(commanded.stop_status == 0, "exit status 0", f"exit status {commanded.stop_status}")


@check("10.19.1-stop-drains", marks=(OURS,), source="docs/behaviour.md: LUMEN_DRAIN_S")
def test_stop_drains(commanded: CommandEvidence) -> None:
    """`lumen-proxy stop` lets the proxy finish the work in flight."""
    found = commanded.answer_status
    expect(found == 200, "the held question is answered with status 200", f"status {found}")
