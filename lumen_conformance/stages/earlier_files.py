"""Commands in a state folder with files of an earlier instance, and at a lock that another program holds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from lumen_conformance.processes.process_tree import kill_all
from lumen_conformance.processes.squatters import Squatters
from lumen_conformance.stages.observations import observe_start
from lumen_conformance.stages.stage_steps import StageStep
from lumen_conformance.stages.state_files import DAMAGES, StateFiles, hold_lock
from lumen_conformance.stages.taken_ports import OUR_REFUSAL_BUDGET_S, observe_refusal
from lumen_conformance.targets.launch import CommandResult, Launcher

OTHER_START_S = 1.0  # after the boot of the machine: no process of a test started then


@dataclass(frozen=True)
class FilesEvidence(StageStep):
    """Starts in a state folder with files of an earlier instance, and `stop` beside those of an unrelated process."""

    first_problem: str
    problems: dict[str, str]
    stop_status: int
    stop_output: str
    stranger_lives: bool


@dataclass(frozen=True)
class LockEvidence(StageStep):
    """`serve` and `stop` while a program holds the lock file, whose content names a third process."""

    holder_pid: int
    serve_status: int | None
    serve_message: str
    stop: CommandResult
    stranger_lives: bool
    holder_lives: bool


def start_with_files(launch: Launcher, squat: Squatters, folder: Path) -> FilesEvidence:
    """Kill an instance and change the files that it leaves; then run `stop`, and start the same command."""
    port, stranger = launch.reserve_port(), squat("banner")
    env: dict[str, str | None] = {"LUMEN_STATE_DIR": str(folder / "state"), "PROXY_PORT": str(port)}
    first = launch(port=port, env=env, ready=False)
    first_problem = observe_start(first, launch.target.start_s).problem
    files = StateFiles.of(folder / "state", port)
    kill_all(first.processes())
    first.end()
    files.write(*files.naming(stranger.pid))
    stopped = launch.run("stop", env=env)
    problems: dict[str, str] = {}
    for name, damage in DAMAGES.items():
        files.write(*damage(files, stranger.pid))
        proxy = launch(port=port, env=env, ready=False)
        problems[name] = observe_start(proxy, launch.target.start_s).problem
        proxy.end()
    return FilesEvidence(first_problem, problems, stopped.exit_status, stopped.stdout, stranger.is_running())


def run_at_held_lock(launch: Launcher, squat: Squatters, folder: Path) -> LockEvidence:
    """Lock the file of a port as another program would, and run commands. Its content is that of an instance."""
    port, stranger = launch.reserve_port(), squat("banner")
    env: dict[str, str | None] = {"LUMEN_STATE_DIR": str(folder), "PROXY_PORT": str(port)}
    path = folder / f"proxy-{port}.lock"
    path.write_text(json.dumps({"pid": stranger.pid, "start_stamp": OTHER_START_S}))
    holder = hold_lock(launch, path)
    exit_status, message = observe_refusal(launch(port=port, env=env, ready=False), OUR_REFUSAL_BUDGET_S)
    stop, living = launch.run("stop", env=env), (stranger.is_running(), holder.exit_status() is None)
    return LockEvidence(holder.pid, exit_status, message, stop, *living)
