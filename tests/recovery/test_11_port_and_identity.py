"""Scenario 11: who holds the port, and who is the instance: exactly one serves, and strangers survive.

Setup: programs of other kinds on the port, two starts at once with one port and one state folder, and state folders
with files of earlier instances. Nothing but its lock says that an instance runs: a PID in a file may belong to another
program by now.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.processes.child_process import WINDOWS
from lumen_conformance.processes.squatters import SquatterKind, Squatters
from lumen_conformance.registry import NotJudged, check, check_each, expect
from lumen_conformance.stages.earlier_files import FilesEvidence, LockEvidence, run_at_held_lock, start_with_files
from lumen_conformance.stages.evidence import stage
from lumen_conformance.stages.launch_pair import PairEvidence, launch_twice
from lumen_conformance.stages.observations import observe_start
from lumen_conformance.stages.stage_steps import StageStep
from lumen_conformance.stages.state_files import DAMAGES
from lumen_conformance.stages.taken_ports import TakenPortEvidence, launch_at_taken_ports
from lumen_conformance.targets.launch import CommandResult, Launcher
from lumen_conformance.targets.target import Target

PORT_IN_USE, CANNOT_CREATE, OS_ERROR = 75, 73, 71
NOT_HERE = "192.0.2.1"  # RFC 5737: no machine has this address
POSIX = pytest.mark.skipif(WINDOWS, reason="Windows has no flock")
OURS = pytest.mark.needs("journal")
ADR = "docs/adr/0003-supervisor-holds-the-socket.md"
IDENTITY = "docs/adr/0010-identity-and-recorded-settings.md"

ANY_KINDS: dict[str, SquatterKind] = {"11.1-taken-silent": "silent", "11.2-taken-wildcard": "wildcard"}
OUR_KINDS: dict[str, SquatterKind] = {"11.3-taken-ipv6": "ipv6", "11.4-taken-shared": "shared"}
if WINDOWS:  # no SO_REUSEPORT there
    del OUR_KINDS["11.4-taken-shared"]


@stage(scenario=11)
def squatted(
    launch: Launcher, squat: Squatters, gateway: ScriptedGateway, target: Target
) -> dict[str, TakenPortEvidence]:
    """Launch at a port that another program holds, for each kind of program."""
    kinds = ANY_KINDS if target.foreign else ANY_KINDS | OUR_KINDS
    return launch_at_taken_ports(launch, squat, gateway, kinds.values())


@check_each("kind", ANY_KINDS, source="bind(2): EADDRINUSE")
def test_a_taken_port_is_refused(squatted: dict[str, TakenPortEvidence], target: Target, kind: str) -> None:
    """At a port that another program holds ({row}) the launch ends in time, with status 75 if it is ours."""
    expect_refused(squatted[kind], is_ours=not target.foreign)


@check_each("kind", OUR_KINDS, marks=(OURS,), source="bind(2): EADDRINUSE; sysexits(3): EX_TEMPFAIL is 75")
def test_a_taken_address_is_refused(squatted: dict[str, TakenPortEvidence], kind: str) -> None:
    """At a port that another program holds ({row}) the launch ends in time, with status 75."""
    expect_refused(squatted[kind], is_ours=True)


def expect_refused(one: TakenPortEvidence, *, is_ours: bool) -> None:
    is_refused = one.exit_status == PORT_IN_USE if is_ours else one.exit_status not in {0, None}
    expected = f"exit status {PORT_IN_USE}" if is_ours else "an exit status other than 0"
    found = "it still runs" if one.exit_status is None else f"exit status {one.exit_status}: {one.message!r}"
    expect(is_refused, f"{expected} within {one.budget_s:g} s", found)


@check("11.5-owner-named", marks=(OURS,), source="QUICKSTART.md: 5.7")
def test_the_topmost_owner_is_named(squatted: dict[str, TakenPortEvidence]) -> None:
    """The message about a taken port is one line with the topmost process that holds it."""
    refused = {kind: one for kind, one in squatted.items() if one.exit_status == PORT_IN_USE}
    if not refused:
        raise NotJudged("no launch ended with 75", tuple(ANY_KINDS))
    for kind, one in refused.items():
        lines, owner = one.message.splitlines(), f"pid {one.squatter_pid})"
        expect(len(lines) == 1 and owner in lines[0], f"one line with {owner!r} ({kind})", repr(one.message))


@check("11.6-squatters-live", source=f"{ADR}: nothing is killed and nothing moves")
def test_no_squatter_is_harmed(squatted: dict[str, TakenPortEvidence]) -> None:
    """The program that holds the port still runs after the launch has ended."""
    dead = [kind for kind, one in squatted.items() if not one.squatter_lives]
    expect(not dead, "all squatters run", f"ended: {', '.join(dead)}")


@dataclass(frozen=True)
class SharedEvidence(StageStep):
    """A launch beside a program that has bound the port and does not listen."""

    problem: str
    squatter_lives: bool


@stage(scenario=11)
def beside(launch: Launcher, squat: Squatters) -> SharedEvidence:
    """Launch beside a socket that is bound with SO_REUSEADDR and never listens."""
    squatter = squat("not_listening", port=launch.reserve_port())
    start = observe_start(launch(port=squatter.port, ready=False), launch.target.start_s)
    return SharedEvidence(start.problem, squatter.is_running())


@check(
    "11.7-bound-without-listening",
    marks=(OURS, pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody can bind beside it")),
    source="bind(2): EADDRINUSE; socket(7): SO_REUSEADDR",
)
def test_a_socket_that_never_listens_is_no_conflict(beside: SharedEvidence) -> None:
    """A program that has bound the port and never listens is no conflict: the proxy serves, and the program lives."""
    expect(not beside.problem, "a start", beside.problem)
    expect(beside.squatter_lives, "the squatter runs", "it has ended")


@stage(scenario=11)
def pair(launch: Launcher, folder: Path) -> PairEvidence:
    """Launch the same command twice at once; ask the winner by each address; start it again; kill its worker."""
    return launch_twice(launch, folder)


@check("11.8-one-instance", marks=(OURS,), source=f"{IDENTITY}; sysexits(3): EX_TEMPFAIL is 75")
def test_one_of_two_serves(pair: PairEvidence) -> None:
    """Of two launches at once one serves, and the other ends with status 75."""
    expected = {None, PORT_IN_USE}
    expect(set(pair.exit_statuses) == expected, "one runs, one has ended with 75", f"{pair.exit_statuses}")


@check("11.9-winner-named", marks=(OURS,), source=IDENTITY)
def test_the_winner_is_named(pair: PairEvidence) -> None:
    """The one of two launches at once that ends names the PID of the one that serves, in one line."""
    require_winner(pair)
    lines, name = pair.loser_message.splitlines(), f"another lumen-proxy (pid {pair.winner_pid})"
    expect(len(lines) == 1 and name in lines[0], f"one line with {name!r}", repr(pair.loser_message))


def require_winner(pair: PairEvidence) -> None:
    """Do not judge an instance that does not exist."""
    if sorted(map(str, pair.exit_statuses)) != ["75", "None"]:
        raise NotJudged("not exactly one of the two launches serves", ("11.8-one-instance",))


@check("11.10-not-announced-early", marks=(OURS,), source="sd_notify(3): READY=1; docs/behaviour.md: /health")
def test_ready_is_not_announced_early(pair: PairEvidence) -> None:
    """No ready line is printed while the worker boots, and /health is answered as soon as it is printed."""
    require_winner(pair)
    expect(not pair.announced_early, "no ready line while the worker boots", "a ready line")
    expect(pair.first_health.startswith("status 200"), "status 200 at once after the ready line", pair.first_health)


@check("11.11-announced-once", marks=(OURS,), source="docs/adr/0003-supervisor-holds-the-socket.md")
def test_ready_is_announced_once(pair: PairEvidence) -> None:
    """The ready line is printed once, also after the worker was replaced."""
    require_winner(pair)
    if pair.generation < 2:
        raise NotJudged("the worker was not replaced", ("1.4-automatic-restart",))
    expect(pair.ready_lines == 1, "one ready line", f"{pair.ready_lines} ready lines")


@check("11.12-same-instance", marks=(OURS,), source=f"RFC 6761, 6.3; {ADR}: both loopback addresses")
def test_one_instance_at_each_address(pair: PairEvidence) -> None:
    """127.0.0.1, localhost and ::1 reach the same instance."""
    require_winner(pair)
    is_one = len(set(pair.instances.values())) == 1 and "None" not in pair.instances.values()
    expect(is_one, "one instance at all addresses", f"{pair.instances}")


@check("11.13-already-running", marks=(OURS,), source=IDENTITY)
def test_the_same_start_is_no_error(pair: PairEvidence) -> None:
    """`start` with the settings of the running instance says that it is already running, and ends with status 0."""
    require_winner(pair)
    found = f"exit status {pair.again.exit_status}: {pair.again.stdout!r} {pair.again.stderr!r}"
    is_found = pair.again.exit_status == 0 and "already running" in pair.again.stdout
    expect(is_found and f"pid {pair.winner_pid}" in pair.again.stdout, "status 0 and already running", found)


@check("11.14-other-settings", marks=(OURS,), source=f"{IDENTITY}; sysexits(3): EX_TEMPFAIL is 75")
def test_another_start_is_refused(pair: PairEvidence) -> None:
    """`start` with another setting than the running instance names it, changes nothing, and ends with status 75."""
    require_winner(pair)
    found = f"exit status {pair.other.exit_status}: {pair.other.stderr!r}"
    is_found = pair.other.exit_status == PORT_IN_USE and "LUMEN_TIMEOUT_S" in pair.other.stderr
    expect(is_found, "status 75 and the name of the setting", found)


@stage(scenario=11)
def found(launch: Launcher, squat: Squatters, folder: Path) -> FilesEvidence:
    """Kill an instance and change the files that it leaves; then run `stop`, and start the same command."""
    return start_with_files(launch, squat, folder)


FILES = {f"11.{15 + number}-state-{name}": name for number, name in enumerate(DAMAGES)}


@check_each("name", FILES, marks=(OURS,), source=f"{IDENTITY}: the state file is a hint")
def test_files_do_not_prevent_a_start(found: FilesEvidence, name: str) -> None:
    """A state file and a lock file that nobody holds do not prevent a start ({row})."""
    require_files(found)
    expect(not found.problems[name], "a start on the same port", found.problems[name])


def require_files(found: FilesEvidence) -> None:
    """Do not judge files that no instance has left."""
    if found.first_problem:
        raise NotJudged(f"the first launch failed: {found.first_problem}", ("1.1-initial-start",))


@check("11.19-unrelated-lives", marks=(OURS,), source=f"{IDENTITY}: the lock decides which process is signalled")
def test_an_unrelated_process_lives(found: FilesEvidence) -> None:
    """A process whose PID is in a state file and that started at another time is neither stopped nor called running."""
    require_files(found)
    expect(found.stranger_lives, "the unrelated process runs", "it has ended")
    is_found = found.stop_status == 0 and "not running" in found.stop_output
    expect(is_found, "stop: status 0 and not running", f"exit status {found.stop_status}: {found.stop_output!r}")


@stage(scenario=11)
def locked(launch: Launcher, squat: Squatters, folder: Path) -> LockEvidence:
    """Lock the file of a port as another program would, and run commands. Its content is that of an instance."""
    return run_at_held_lock(launch, squat, folder)


@check("11.20-start-time", marks=(OURS, POSIX), source=f"{IDENTITY}: PID and start time")
def test_the_start_time_is_compared(locked: LockEvidence) -> None:
    """A PID in a lock file counts only with its start time: a start at a held lock names the process that holds it."""
    found = f"exit status {locked.serve_status}: {locked.serve_message!r}"
    is_named = locked.serve_status == PORT_IN_USE and f"pid {locked.holder_pid})" in locked.serve_message
    expect(is_named, f"status {PORT_IN_USE} and the PID {locked.holder_pid} of the holder", found)


@check(
    "11.21-lock-of-a-stranger", marks=(OURS, POSIX), source=f"{IDENTITY}: the lock decides which process is signalled"
)
def test_a_stranger_with_the_lock_is_not_stopped(locked: LockEvidence) -> None:
    """`stop` at a lock that another program holds signals no process, and does not end with status 0."""
    found = f"exit status {locked.stop.exit_status}: {locked.stop.stderr!r}"
    living = (locked.stranger_lives, locked.holder_lives)
    expect(living == (True, True), "the holder and the process that the file names run", f"run: {living}")
    expect(locked.stop.exit_status == PORT_IN_USE, f"exit status {PORT_IN_USE}", found)


REFUSALS = {
    "11.22-state-folder-uncreatable": (CANNOT_CREATE, "LUMEN_STATE_DIR"),
    "11.23-address-not-here": (OS_ERROR, NOT_HERE),
}
"""Check → exit status, text in the line."""


@stage(scenario=11)
def refused(launch: Launcher, folder: Path) -> dict[str, CommandResult]:
    """Start where no state folder can be created, not even by root, and at an address of another machine."""
    (folder / "file").write_text("not a folder")
    uncreatable = {"LUMEN_STATE_DIR": str(folder / "file" / "state")}
    elsewhere = {"PROXY_HOST": NOT_HERE, "PROXY_API_KEY": "a-key-of-the-suite"}
    environs = zip(REFUSALS, (uncreatable, elsewhere), strict=True)
    return {name: launch.run("serve", env={"PROXY_PORT": "0", **env}) for name, env in environs}


@check_each(
    "name", {name: name for name in REFUSALS}, marks=(OURS,), source="sysexits(3): EX_CANTCREAT is 73, EX_OSERR 71"
)
def test_what_the_system_refuses(refused: dict[str, CommandResult], name: str) -> None:
    """What the system refuses ({row}) ends the start with its exit status and one line that names it."""
    status, text = REFUSALS[name]
    found = f"exit status {refused[name].exit_status}: {refused[name].stderr!r}"
    is_line = len(refused[name].stderr.splitlines()) == 1 and text in refused[name].stderr
    expect(refused[name].exit_status == status and is_line, f"status {status}, and one line with {text}", found)
