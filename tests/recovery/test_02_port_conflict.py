"""Scenario 2: another program holds the port; the server ends and does no harm to it, and starts when it has ended.

Setup: a dummy server with its own banner and port, a scripted gateway for servers that need one at their start, and one
command that is launched twice at that port, with one state directory: first while the dummy runs, then after its end.
Checks such as ``2.2.1-message`` are about our own proxy only. A supervisor of another kind may start its program again
and again while the port is taken, as systemd and supervisord do: it serves nowhere, and 2.2 does not apply to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.processes.squatters import Squatters
from lumen_conformance.registry import MeasureFixture, NotJudged, check, expect
from lumen_conformance.stages.evidence import stage
from lumen_conformance.stages.observations import StartObservation, is_port_free, observe_exit, observe_start
from lumen_conformance.stages.stage_steps import StageStep
from lumen_conformance.targets.launch import Launcher
from lumen_conformance.targets.target import Target

PORT_IN_USE = 75
OUR_CONFLICT_BUDGET_S = 5.0  # a start of the interpreter, and a search for the process that holds the port
OCCUPIED, FREE, STARTED = ("2.1-dummy-occupies-port", "2.3-dummy-gone-port-free", "2.4-normal-start")
OURS = pytest.mark.needs("journal")


@dataclass(frozen=True)
class ConflictEvidence(StageStep):
    """The evidence. ``listened_on`` has the ports on which the refused launch listened until its end or its budget."""

    budget_s: float
    start_budget_s: float
    port: int
    squatter_pid: int
    banner: str
    greeting: str | None
    exit_status: int | None
    elapsed_s: float
    message: str
    stdout: str
    listened_on: tuple[int, ...]
    greeting_after: str | None
    squatter_stopped_by_us: bool
    port_was_free: bool
    again: StartObservation
    again_ready: bool
    files_left: tuple[str, ...]
    may_try_again: bool = False
    last_line: str = ""


@stage(scenario=2)
def conflict(
    launch: Launcher, squat: Squatters, gateway: ScriptedGateway, folder: Path, target: Target
) -> ConflictEvidence:
    """Launch at a taken port, stop the dummy, launch again, stop that."""
    squatter = squat("banner", port=launch.reserve_port())  # no other test gets it after the end of the dummy
    port, same = squatter.port, {"LUMEN_STATE_DIR": str(folder / "state")}
    greeting = squatter.answer()
    refused = launch(port=port, env=same, gateway=gateway, ready=False)
    budget_s = target.start_s if target.foreign else OUR_CONFLICT_BUDGET_S
    ended = observe_exit(refused, budget_s)
    greeting_after, last_line = squatter.answer(), refused.last_line()
    refused.end()
    lived_until_stopped = squatter.is_running()
    squatter.end()
    port_was_free = is_port_free(port)
    proxy = launch(port=port, env=same, gateway=gateway, ready=False)
    again = observe_start(proxy, target.start_s)
    again_ready = proxy.health().ready
    proxy.end()
    return ConflictEvidence(
        budget_s=budget_s,
        start_budget_s=target.start_s,
        port=port,
        squatter_pid=squatter.pid,
        banner=squatter.banner,
        greeting=greeting,
        exit_status=ended.status,
        elapsed_s=ended.elapsed_s,
        message=refused.stderr.read_text("utf-8", errors="backslashreplace"),
        stdout=refused.stdout.read_text("utf-8", errors="backslashreplace"),
        listened_on=ended.listened_on,
        greeting_after=greeting_after,
        squatter_stopped_by_us=lived_until_stopped,
        port_was_free=port_was_free,
        again=again,
        again_ready=again_ready,
        files_left=tuple(sorted(path.name for path in (folder / "state").glob("*"))),
        may_try_again=target.foreign and "restart" in target.can,
        last_line=last_line,
    )


@check(OCCUPIED, title="더미 서버의 포트 점유", source="docs/guide/recovery.md: Scenario 2")
def test_squatter_answers(conflict: ConflictEvidence) -> None:
    """A dummy server holds the port and answers with its own banner."""
    expected = f"the dummy server on port {conflict.port} answers {conflict.banner!r}"
    expect(conflict.greeting == conflict.banner, expected, conflict.greeting or "no answer")


@check(
    "2.2-conflict-detected", title="포트 충돌 감지", source="bind(2): EADDRINUSE; docs/guide/recovery.md: Scenario 2"
)
def test_conflict_is_detected(conflict: ConflictEvidence, measure: MeasureFixture) -> None:
    """At a taken port the launch ends in time with a status other than 0, and the program there still answers."""
    require_conflict(conflict)
    if not conflict.again_ready:
        raise NotJudged("it does not start on the free port either, so its end proves nothing", (STARTED,))
    measure(conflict.elapsed_s, "s", conflict.budget_s, headline=True)
    answer = conflict.greeting_after or "the dummy server does not answer any more"
    unharmed = f"the dummy server on port {conflict.port} still answers {conflict.greeting!r}"
    expect(conflict.greeting_after == conflict.greeting, unharmed, answer)
    if conflict.may_try_again and conflict.exit_status is None and not conflict.listened_on:
        pytest.skip(f"it declares restart and serves nowhere, so it need not end: {describe_end(conflict)}")
    is_refused = conflict.exit_status not in {0, None} and conflict.elapsed_s < conflict.budget_s
    expected = f"the launch ends within {conflict.budget_s:g} s, with an exit status other than 0"
    expect(is_refused, expected, describe_end(conflict))


@check("2.2.1-message", source="sysexits(3): EX_TEMPFAIL is 75; QUICKSTART.md: 5.7")
@OURS
def test_conflict_is_reported(conflict: ConflictEvidence) -> None:
    """At a taken port the exit status is 75, and one line names the port, its owner and what to do."""
    require_conflict(conflict)
    expect(conflict.exit_status == PORT_IN_USE, f"exit status {PORT_IN_USE}", f"exit status {conflict.exit_status}")
    lines = conflict.message.splitlines()
    expect(len(lines) == 1, "one line on standard error", f"{len(lines)} lines: {conflict.message!r}")
    line, owner = lines[0], f"pid {conflict.squatter_pid}"
    for text in ("lumen-proxy: ", f":{conflict.port}", owner, "--port"):
        expect(text in line, f"a line with {text!r}", repr(line))
    expect("ready" not in conflict.stdout, "standard output does not say ready", repr(conflict.stdout))


@check("2.2.2-nowhere-else", source="docs/adr/0003-supervisor-holds-the-socket.md: nothing is killed and nothing moves")
@OURS
def test_it_listens_nowhere_else(conflict: ConflictEvidence) -> None:
    """At a taken port the launch listens on no port before it ends."""
    require_conflict(conflict)
    ports = ", ".join(map(str, conflict.listened_on))
    expect(not conflict.listened_on, "the launch listens on no port", f"it listens on {ports}")


@check(FREE, title="더미 서버 종료 후 포트 해제", source="bind(2): EADDRINUSE, as long as the address is in use")
def test_port_is_free_again(conflict: ConflictEvidence) -> None:
    """The dummy runs until the suite stops it, and then its port can be bound."""
    expect(
        conflict.squatter_stopped_by_us,
        f"the dummy server (pid {conflict.squatter_pid}) runs until the suite stops it",
        "it had ended before",
    )
    expect(
        conflict.port_was_free, f"port {conflict.port} can be bound after the end of the dummy", "it cannot be bound"
    )


@check(STARTED, title="프록시 정상 시작", source="docs/guide/recovery.md: Scenario 2")
def test_same_command_works(conflict: ConflictEvidence, measure: MeasureFixture) -> None:
    """After the end of the dummy the same command starts on that port."""
    budget = f"the same command is ready on port {conflict.port} within {conflict.start_budget_s:g} s"
    expect(not conflict.again.problem, budget, conflict.again.problem)
    elapsed_s = measure(conflict.again.elapsed_s, "s", conflict.start_budget_s)
    expect(elapsed_s < conflict.start_budget_s, budget, f"ready after {elapsed_s:.2f} s")
    expect(conflict.again.port == conflict.port, budget, f"it is ready on port {conflict.again.port}")
    expect(conflict.again_ready, budget, "it was ready, and did not answer the next probe")


@check("2.4.1-nothing-left", source="docs/adr/0010-identity-and-recorded-settings.md: a stop removes the state file")
@OURS
def test_nothing_is_left(conflict: ConflictEvidence) -> None:
    """After a stop no lock and no state file is left."""
    if conflict.again.problem:
        raise NotJudged("it did not start", (STARTED,))
    expect(not conflict.files_left, "an empty state directory", f"files: {', '.join(conflict.files_left)}")


def require_conflict(conflict: ConflictEvidence) -> None:
    """Do not judge a conflict if the dummy did not hold the port."""
    if conflict.greeting != conflict.banner:
        raise NotJudged("no dummy server answered on the port", (OCCUPIED,))


def describe_end(conflict: ConflictEvidence) -> str:
    """Return a text about the end of the refused launch, or about its missing end."""
    if conflict.exit_status is None:
        ports = ", ".join(map(str, conflict.listened_on))
        listens = (
            f"ports on which it listens: {ports}"
            if ports
            else f"it listens on no port, and the last line of its log is {conflict.last_line!r}"
        )
        return f"it still runs after {conflict.elapsed_s:.1f} s; {listens}"
    late = f" after {conflict.elapsed_s:.2f} s" if conflict.elapsed_s >= conflict.budget_s else ""
    return f"exit status {conflict.exit_status}{late}"
