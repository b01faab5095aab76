"""Scenario 18: all processes are killed at one moment, as by a loss of power; the next start works and loses nothing.

Setup: one port and one state folder for both launches. A client keeps a connection, so that the port has a connection
in TIME_WAIT at the next start. Our own proxy leaves its lock, its state file and its logs; the stage cuts the last line
of each log in half, as a lost write would.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.processes.process_tree import kill_all
from lumen_conformance.registry import MeasureFixture, NotJudged, check, expect
from lumen_conformance.stages.drain import SEEN_S, held_question
from lumen_conformance.stages.evidence import stage
from lumen_conformance.stages.observations import observe_start
from lumen_conformance.stages.stage_steps import StageStep
from lumen_conformance.targets.launch import LaunchedTarget, Launcher
from lumen_conformance.targets.target import Target

Env = Mapping[str, str | None]
TORN = b'{"ts": "2026-01-01T00:00:00.000+00:00", "event": "sto'
OURS = pytest.mark.needs("journal")
STARTED = "18.1-next-start"


@dataclass(frozen=True)
class PowerLossEvidence(StageStep):
    """The start after the outage, and the logs before and after it.

    ``said``       what the second launch wrote to standard error
    ``lost``       the logs whose content of before the outage is not there any more
    ``broken``     lines of the logs that are no JSON objects, without the ones that the stage cut
    ``started``    the fields of the event `started` of the second launch
    """

    problem: str
    start_s: float
    budget_s: float
    is_port_kept: bool
    instance_before: str
    said: str
    logs: tuple[str, ...]
    lost: tuple[str, ...]
    broken: tuple[str, ...]
    started: tuple[dict[str, Any], ...]


@contextmanager
def serving(launch: Launcher, gateway: ScriptedGateway, port: int, env: Env) -> Iterator[LaunchedTarget]:
    """A server with an idle connection, which the client closes after the server has ended."""
    proxy = launch(port=port, env=env, gateway=gateway)
    with proxy.connection() as connection:
        connection.call("GET", proxy.target.probe_path)
        proxy.chat("Are you there?")
        yield proxy


@contextmanager
def booting(launch: Launcher, gateway: ScriptedGateway, port: int, env: Env) -> Iterator[LaunchedTarget]:
    """A proxy whose first worker boots."""
    proxy = launch(port=port, env=env, gateway=gateway, ready=False)
    proxy.journal.observe("worker_spawned", within_s=launch.target.start_s)
    yield proxy


@contextmanager
def draining(launch: Launcher, gateway: ScriptedGateway, port: int, env: Env) -> Iterator[LaunchedTarget]:
    """A proxy that drains, with a question in flight."""
    proxy = launch(port=port, env=env, gateway=gateway)
    with held_question(proxy.chat, gateway):
        proxy.stop()
        proxy.journal.observe("draining", within_s=SEEN_S)
        yield proxy


Moment = Callable[[Launcher, ScriptedGateway, int, Env], AbstractContextManager[LaunchedTarget]]
MOMENTS: dict[str, Moment] = {"serving": serving, "booting": booting, "draining": draining}


@stage(scenario=18)
def outages(launch: Launcher, gateway: ScriptedGateway, folder: Path, target: Target) -> dict[str, PowerLossEvidence]:
    """Kill all processes of a launch at each moment, cut its logs, and launch the same command again."""
    moments = MOMENTS if "journal" in target.can else {"serving": serving}  # only a journal shows the others
    return {name: lose_power(launch, gateway, folder / name, moment) for name, moment in moments.items()}


def lose_power(launch: Launcher, gateway: ScriptedGateway, folder: Path, moment: Moment) -> PowerLossEvidence:
    """Kill all processes of a launch at one moment, cut its logs, and launch the same command again."""
    port, log_dir = launch.reserve_port(), folder / "log"
    env = {"LUMEN_STATE_DIR": str(folder / "state"), "LUMEN_LOG_DIR": str(log_dir)}
    with moment(launch, gateway, port, env) as first:
        before = first.journal.events(name="started")
        kill_all(first.processes())
    cut = cut_logs(log_dir)
    second = launch(port=port, env=env, gateway=gateway, ready=False)
    start = observe_start(second, launch.target.start_s)
    started = second.journal.events(name="started")
    second.end()
    return PowerLossEvidence(
        problem=start.problem,
        budget_s=launch.target.start_s,
        start_s=start.elapsed_s,
        instance_before=before[0].instance if before else "",
        is_port_kept=start.port == port,
        said=second.stderr.read_text("utf-8", errors="backslashreplace"),
        logs=tuple(sorted(path.name for path in cut)),
        lost=tuple(path.name for path, data in cut.items() if not path.read_bytes().startswith(data)),
        broken=tuple(line for path in cut for line in broken_lines(path)),
        started=tuple(event.fields for event in started if event not in before),
    )


def cut_logs(folder: Path) -> dict[Path, bytes]:
    """Append half a line to each log of our own proxy, and return the contents."""
    for path in folder.glob("*.jsonl"):
        with path.open("ab") as file:
            file.write(TORN)
    return {path: path.read_bytes() for path in folder.glob("*.jsonl")}


def broken_lines(path: Path) -> Iterator[str]:
    """Yield the lines that are no JSON objects, but the one that was cut."""
    for line in path.read_bytes().splitlines():
        try:
            is_object = isinstance(json.loads(line), dict)
        except ValueError:
            is_object = False
        if not is_object and line != TORN:
            yield f"{path.name}: {line[:200]!r}"


@check(STARTED, source="bind(2): EADDRINUSE; socket(7): SO_REUSEADDR; docs/adr/0003-supervisor-holds-the-socket.md")
def test_the_next_start_works(outages: dict[str, PowerLossEvidence], measure: MeasureFixture) -> None:
    """After SIGKILL of all its processes the same command is ready on the same port."""
    for moment, one in outages.items():
        expected = f"ready on the same port within {one.budget_s:g} s after a kill while {moment}"
        expect(not one.problem, expected, f"{one.problem} {one.said!r}")
        measure(one.start_s, "s", one.budget_s, label=moment)
        expect(one.is_port_kept, expected, "it is ready on another port")


def list_started(outages: dict[str, PowerLossEvidence]) -> dict[str, PowerLossEvidence]:
    """Return the outages after which the same command started; the others have no logs to judge."""
    started = {moment: one for moment, one in outages.items() if not one.problem}
    if not started:
        raise NotJudged("the next start failed", (STARTED,))
    return started


@check("18.2-lines-kept", marks=(OURS,), source="docs/behaviour.md: Instances")
def test_no_line_is_lost(outages: dict[str, PowerLossEvidence]) -> None:
    """The next start keeps every byte of the logs that were there."""
    for moment, one in outages.items():
        expect("journal" in "".join(one.logs), f"a journal of before ({moment})", f"logs: {one.logs}")
        expect(not one.lost, f"each log begins with what it had before ({moment})", f"changed: {', '.join(one.lost)}")


@check("18.3-lines-whole", marks=(OURS,), source="docs/behaviour.md: Instances")
def test_new_lines_are_whole(outages: dict[str, PowerLossEvidence]) -> None:
    """After a line that was cut each new line of a log is a line of its own."""
    broken = [line for one in list_started(outages).values() for line in one.broken]
    expect(not broken, "only the cut line is no JSON object", "; ".join(broken))


@check("18.4-said", marks=(OURS,), source="docs/behaviour.md: Instances")
def test_the_outage_is_said(outages: dict[str, PowerLossEvidence]) -> None:
    """The next start says in one line that the instance before it ended without a stop."""
    for moment, one in list_started(outages).items():
        lines = [line for line in one.said.splitlines() if "ended without a stop" in line]
        is_said = len(lines) == 1 and one.instance_before in lines[0]
        expect(is_said, f"one line with the instance {one.instance_before} ({moment})", repr(one.said))


@check("18.5-recorded", marks=(OURS,), source="docs/behaviour.md: Instances")
def test_the_outage_is_recorded(outages: dict[str, PowerLossEvidence]) -> None:
    """The journal of the next start has the event started, with the instance that ended without a stop."""
    for moment, one in list_started(outages).items():
        found = [fields.get("unclean_end_of") for fields in one.started]
        expected = f"one event started with unclean_end_of {one.instance_before} ({moment})"
        expect(found == [one.instance_before], expected, f"{found}")
