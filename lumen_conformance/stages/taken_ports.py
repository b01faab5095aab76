"""Launch at a port that another program holds, for each kind of program."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.processes.squatters import SquatterKind, Squatters
from lumen_conformance.stages.stage_steps import StageStep
from lumen_conformance.targets.launch import LaunchedTarget, Launcher

# A start of the interpreter and a search for the process that holds the port take 0.3 s here.
OUR_REFUSAL_BUDGET_S = 10.0


@dataclass(frozen=True)
class TakenPortEvidence(StageStep):
    """A launch at a port that a squatter holds; `exit_status` is None if it did not end in time."""

    budget_s: float
    exit_status: int | None
    message: str
    squatter_pid: int
    squatter_lives: bool


def launch_at_taken_ports(
    launch: Launcher, squat: Squatters, gateway: ScriptedGateway, kinds: Iterable[SquatterKind]
) -> dict[str, TakenPortEvidence]:
    """Launch at a port that another program holds, for each kind of program."""
    budget_s = launch.target.start_s if launch.target.foreign else OUR_REFUSAL_BUDGET_S

    def refuse(kind: SquatterKind) -> TakenPortEvidence:
        squatter = squat(kind, port=launch.reserve_port())
        proxy = launch(port=squatter.port, gateway=gateway, ready=False)
        exit_status, message = observe_refusal(proxy, budget_s)
        return TakenPortEvidence(budget_s, exit_status, message, squatter.pid, squatter.is_running())

    return {kind: refuse(kind) for kind in kinds}


def observe_refusal(proxy: LaunchedTarget, within_s: float) -> tuple[int | None, str]:
    """Wait for the end of a launch, and end it if it does not; return its exit status in time, and its message."""
    exit_status = proxy.observe_exit(within_s)
    proxy.end()
    return exit_status, proxy.stderr.read_text("utf-8", errors="backslashreplace")
