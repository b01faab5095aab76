"""Launch our own proxy twice at once with one port and one state folder, and run commands beside the winner."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lumen_conformance.http.client import call
from lumen_conformance.stages.held_boot import HeldBoot
from lumen_conformance.stages.observations import describe_response, observe_start, parse_json
from lumen_conformance.stages.stage_steps import StageStep
from lumen_conformance.targets.launch import CommandResult, LaunchedTarget, Launcher
from lumen_conformance.waiting import observe

REFUSAL_S = 10.0  # the end of the loser: a start of the interpreter takes 0.1 s here
SEEN_S = 5.0  # a line is written within milliseconds; the rest is for a busy machine
READY_LINE = ": ready on "
ADDRESSES = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True)
class PairEvidence(StageStep):
    """Two launches at once with one port and one state folder, and other commands while the winner runs.

    ``announced_early``  whether the winner said that it is ready before its worker booted
    ``instances``        the name of the instance that answers at each address
    ``again``, ``other`` the command `start` with the same settings, and with another one
    ``ready_lines``      how often the winner said that it is ready; its worker was killed once
    """

    exit_statuses: tuple[int | None, ...]
    winner_pid: int
    loser_message: str
    announced_early: bool
    first_health: str
    instances: dict[str, str]
    again: CommandResult
    other: CommandResult
    generation: int
    ready_lines: int


def launch_twice(launch: Launcher, folder: Path) -> PairEvidence:
    """Launch the same command twice at once; ask the winner by each address; start it again; kill its worker."""
    boot, port = HeldBoot(folder, launch.target), launch.reserve_port()
    folders = {"LUMEN_STATE_DIR": str(folder / "state"), "LUMEN_LOG_DIR": str(folder / "log")}
    env: dict[str, str | None] = {"PROXY_PORT": str(port), **folders}
    pair = [launch(port=port, env=env | boot.environ, ready=False) for _ in range(2)]
    observe("one of them has ended", lambda: any(map(_has_ended, pair)), within_s=REFUSAL_S)
    loser, winner = sorted(pair, key=_has_ended, reverse=True)
    winner.journal.observe("worker_spawned", within_s=SEEN_S)
    announced_early = bool(_count_ready_lines(winner))
    exit_statuses = tuple(one.exit_status() for one in pair)
    boot.release()
    observe("it says that it is ready", lambda: _count_ready_lines(winner), within_s=launch.target.start_s)
    first = call(winner.url, "GET", "/health")
    observe_start(winner, launch.target.start_s)
    answers = {address: parse_json(call(f"http://{address}:{port}", "GET", "/health")) for address in ADDRESSES}
    with ThreadPoolExecutor(2) as pool:
        again = pool.submit(launch.run, "start", env=env)
        other = pool.submit(launch.run, "start", env=env | {"LUMEN_TIMEOUT_S": "7"})
    generation = _replace_worker(winner)
    winner.end()
    return PairEvidence(
        exit_statuses=exit_statuses,
        winner_pid=winner.pid,
        loser_message=loser.stderr.read_text("utf-8"),
        announced_early=announced_early,
        first_health=describe_response(first),
        instances={address: str((answer or {}).get("instance")) for address, answer in answers.items()},
        again=again.result(),
        other=other.result(),
        generation=generation,
        ready_lines=_count_ready_lines(winner),
    )


def _has_ended(proxy: LaunchedTarget) -> bool:
    return proxy.exit_status() is not None


def _count_ready_lines(proxy: LaunchedTarget) -> int:
    return proxy.stdout.read_text("utf-8", errors="backslashreplace").count(READY_LINE)


def _replace_worker(proxy: LaunchedTarget) -> int:
    """Kill the worker, and return the generation that answers then; 0 if none does."""
    before = proxy.health()
    if before.ready:
        proxy.worker().kill()
        observe("another generation answers", lambda: proxy.health().generation > before.generation, within_s=SEEN_S)
    return proxy.health().generation
