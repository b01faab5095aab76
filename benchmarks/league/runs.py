"""One run of the contract against one server; its files stay in ``reports/league/NAME``."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from league.installation import set_up
from league.launcher import ROOT
from league.servers import LeagueServer
from tests.fixtures.network_namespace import isolate_command

KEPT = ROOT / "reports" / "league"
RUN_S = 600  # one to two minutes are usual; a server that hangs on each request is stopped here
STOP_S = 30  # pytest ends what it launched, and writes its report
NEVER_READY = "the target never became ready"  # how lumen_conformance/targets/readiness.py begins
VERDICTS = {0, 1}  # exit statuses of pytest: all passed, some failed
# Windows can interrupt only a process group of its own, and by another signal.
OWN_GROUP: int = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
INTERRUPT: int = getattr(signal, "CTRL_BREAK_EVENT", signal.SIGINT)
LAUNCHER = Path(__file__).parent / "launcher.py"


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


@dataclass(frozen=True)
class ServerResult:
    """The result of one server on a day; ``ending`` is the summary of the run, ``trouble`` why verdicts are missing."""

    server: LeagueServer
    verdicts: tuple[dict[str, Any], ...] = ()
    notes: tuple[dict[str, Any], ...] = ()
    ending: dict[str, Any] = field(default_factory=dict)
    elapsed_s: float = 0.0
    trouble: str = ""
    day: str = field(default_factory=_today)

    @property
    def counts(self) -> Counter[str]:
        """How many checks ended how."""
        return Counter(each["outcome"] for each in self.verdicts)

    @property
    def layers(self) -> dict[str, str]:
        """How each layer ended: clients (M), strict (M and S)."""
        return dict(self.ending.get("layers", {}))

    def ended(self, outcome: str, tier: str = "MSW") -> list[dict[str, Any]]:
        """The verdicts of these tiers that ended so."""
        return [each for each in self.verdicts if each["outcome"] == outcome and each["tier"] in tier]


def outcome_of(server: LeagueServer) -> ServerResult:
    """Set up and judge a server; the outcome has the error where this fails."""
    try:
        set_up(server)
        return _judge(server, KEPT / server.name)
    except subprocess.CalledProcessError as error:
        return ServerResult(
            server, trouble=f"{' '.join(error.cmd)} ended with {error.returncode}:\n{error.stderr[-2_000:]}"
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:  # ValueError: a line that was cut while written
        return ServerResult(server, trouble=f"{type(error).__name__}: {error}")


def _judge(server: LeagueServer, folder: Path) -> ServerResult:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    start_s = time.monotonic()
    ended, normally = _run(_command(server, folder), folder)
    elapsed_s = time.monotonic() - start_s
    found = tuple(_lines(folder / "verdicts.jsonl"))
    if not found or any(NEVER_READY in (each.get("reason") or "") for each in found):  # no verdict on the server
        output = (folder / "output.txt").read_text("utf-8", errors="replace")
        return ServerResult(server, elapsed_s=elapsed_s, trouble=f"{ended}:\n{output[-3_000:]}")
    return kept(server, elapsed_s, "" if normally else ended, _today())


def kept(server: LeagueServer, elapsed_s: float, trouble: str, day: str) -> ServerResult:
    """The outcome of a run whose files are kept."""
    folder = KEPT / server.name
    verdicts, notes = (tuple(_lines(folder / f"{name}.jsonl")) for name in ("verdicts", "notes"))
    ending = folder / "summary.json"
    summary = json.loads(ending.read_text("utf-8")) if ending.exists() else {}  # a run that was stopped has none
    return ServerResult(server, verdicts, notes, summary, elapsed_s, trouble, day)


def _command(server: LeagueServer, folder: Path) -> list[str]:
    gateway = "{gateway_url}" if server.gateway else "none"
    launcher = f"'{sys.executable}' '{LAUNCHER}' {server.name} {{host}} {{port}} {gateway}"
    return [
        sys.executable, "-m", "pytest", "tests/contract", "-m", "contract", "-q", "-p", "no:cacheprovider",
        "--durations=15", "-p", "league.notes", "-n", "2", "--dist", "worksteal",  # half of the time is a wait
        f"--verdicts={folder / 'verdicts.jsonl'}", f"--summary={folder / 'summary.json'}",
        f"--html={folder / 'report.html'}",
        f"--proxy-command={launcher}", *server.options,
    ]  # fmt: skip


def _run(command: list[str], folder: Path) -> tuple[str, bool]:
    """Run pytest off the network, where the system allows it; return how it ended, and whether normally.

    Status 0 and 1 are verdicts, green or red; any other is an accident, and what was judged until then is not all.
    """
    environ = {**os.environ, "LEAGUE_NOTES": str(folder / "notes.jsonl")}
    with (
        (folder / "output.txt").open("w", encoding="utf-8") as output,
        subprocess.Popen(
            isolate_command(command),
            cwd=ROOT,
            env=environ,
            stdout=output,
            stderr=subprocess.STDOUT,
            creationflags=OWN_GROUP,
        ) as process,
    ):
        try:
            status = process.wait(RUN_S)
        except subprocess.TimeoutExpired:
            _stop(process)
            return f"stopped at the limit of {RUN_S} s", False
    return f"pytest ended with {status}", status in VERDICTS


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Interrupt pytest, so that it ends what it launched; kill what is left."""
    family = set(psutil.Process(process.pid).children(recursive=True))
    process.send_signal(INTERRUPT)
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        family |= set(psutil.Process(process.pid).children(recursive=True))  # those that were started meanwhile
        process.kill()
    for child in family:
        if child.is_running():  # the same process, not another one with its number
            child.kill()


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text("utf-8").split("\n") if path.exists() else ():
        if line:
            yield json.loads(line)
