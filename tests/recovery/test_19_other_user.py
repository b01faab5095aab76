"""Scenario 19: an instance of another user has the port, or the lock in the state folder; no command touches it.

Setup: the proxy as the user `nobody`, who may read all files, as the interpreter of this environment may be in the
private folder of its user; then the commands of this user at its port, with a state folder of their own and with that
of the instance. Only root can stage this.
"""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from lumen_conformance.processes.child_process import STOP_S, WINDOWS
from lumen_conformance.processes.process_tree import ProcessRef, list_running, list_tree
from lumen_conformance.registry import check, expect
from lumen_conformance.stages.evidence import stage
from lumen_conformance.stages.stage_steps import StageStep
from lumen_conformance.targets.launch import CommandResult, Launcher
from lumen_conformance.targets.target import Target
from lumen_conformance.waiting import observe

USER = "nobody"
PORT_IN_USE = 75
COMMANDS = ("serve", "start", "stop", "restart")
OURS = pytest.mark.needs("journal")


@dataclass(frozen=True)
class OtherUserEvidence(StageStep):
    """The commands of this user, by name, and the instance of the other user before and after them."""

    pid: int
    commands: dict[str, CommandResult]
    instance_before: str
    instance_after: str
    runs: bool


@stage(scenario=19, needs=("journal",))
def other_user(launch: Launcher, folder: Path, target: Target) -> OtherUserEvidence:
    """Launch as another user, and run commands at its port as this user."""
    as_user = find_user(launch, target)
    theirs = folder / "theirs"
    theirs.mkdir()
    shutil.chown(theirs, USER)
    port = launch.reserve_port()
    folders = {"LUMEN_STATE_DIR": str(theirs / "state"), "LUMEN_LOG_DIR": str(theirs / "log")}
    proxy = launch(port=port, env=folders, target=replace(target, command=(*as_user, *target.command)))
    before = proxy.health().instance
    places = {"its own state folder": {}, "that state folder": {"LUMEN_STATE_DIR": folders["LUMEN_STATE_DIR"]}}

    def run_commands(place: str) -> dict[str, CommandResult]:
        """Run one command after the other: in one folder, a stop waits for a restart."""
        arguments, env = ("--port", str(port)), places[place]
        return {f"{command} with {place}": launch.run(command, *arguments, env=env) for command in COMMANDS}

    with ThreadPoolExecutor() as pool:
        commands = {name: result for each in pool.map(run_commands, places) for name, result in each.items()}
    after, runs = proxy.health(), proxy.exit_status() is None
    if not runs and after.supervisor_pid:
        end_replacement(ProcessRef.of(after.supervisor_pid))
    return OtherUserEvidence(proxy.pid, commands, before, after.instance, runs)


def end_replacement(supervisor: ProcessRef) -> None:
    """End the instance that a faulty proxy has started in place of the other user's."""
    processes = list_tree(supervisor)
    supervisor.terminate()
    observe("it has ended", lambda: not list_running(processes), within_s=STOP_S)


def find_user(launch: Launcher, target: Target) -> tuple[str, ...]:
    """Return the beginning of a command line that runs as the other user; skip the stage where there is none."""
    if WINDOWS or os.geteuid() != 0:
        pytest.skip("a second user is needed, which only root can stage")
    if not shutil.which("setpriv"):
        pytest.skip("setpriv(1) is needed, which runs a command as another user")
    import pwd  # noqa: PLC0415 -- not on Windows

    user = pwd.getpwnam(USER)
    ids = (f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups")
    as_user = ("setpriv", *ids, "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    tried = launch.run("--version", tool=(*as_user, *target.tool))
    if tried.exit_status != 0:
        pytest.skip(f"the user {USER} cannot run the proxy: {tried.stderr.strip()}")
    return as_user


@check("19.1-not-signalled", marks=(OURS,), source="docs/adr/0010-identity-and-recorded-settings.md")
def test_another_user_is_not_disturbed(other_user: OtherUserEvidence) -> None:
    """No command ends or replaces the instance of another user."""
    expect(other_user.runs, "the instance of the other user runs", "it has ended")
    found, expected = other_user.instance_after, other_user.instance_before
    expect(found == expected, f"the instance {expected} answers", f"instance {found!r}")


@check("19.2-port-in-use", marks=(OURS,), source="sysexits(3): EX_TEMPFAIL is 75")
def test_each_command_is_refused(other_user: OtherUserEvidence) -> None:
    """Each command at the port of another user's instance ends with status 75."""
    found = {name: result.exit_status for name, result in other_user.commands.items()}
    others = {
        name: f"{status}: {other_user.commands[name].stderr!r}"
        for name, status in found.items()
        if status != PORT_IN_USE
    }
    expect(not others, f"exit status {PORT_IN_USE} of each command", f"{others}")


@check("19.3-user-named", marks=(OURS,), source="docs/behaviour.md: instance")
def test_the_other_user_is_named(other_user: OtherUserEvidence) -> None:
    """Each command at the port of another user's instance names that user and the PID in one line."""
    for name, result in other_user.commands.items():
        lines = result.stderr.splitlines()
        is_named = len(lines) == 1 and f"user {USER}" in lines[0] and f"pid {other_user.pid})" in lines[0]
        expect(is_named, f"one line with user {USER} and (pid {other_user.pid}) ({name})", repr(result.stderr))
