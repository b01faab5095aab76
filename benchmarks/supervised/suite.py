"""The recovery suite against one supervised server; its files stay in ``reports/league-recovery/NAME``."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from typing import Any, Final

from supervised.launch import LAUNCHER
from supervised.servers import ROOT, SupervisedServer

KEPT: Final = ROOT / "reports" / "league-recovery"
RUN_S: Final = 900  # one to three minutes are usual
BAD: Final = {"failed", "error", "warned"}  # warned: of tier S, which does not fail a run
VERDICTS: Final = {0, 1}  # exit statuses of a run: nothing failed, something failed


def judge(server: SupervisedServer) -> dict[str, Any]:
    """Return the counts of a run, and what failed, was not judged or ended with an error."""
    folder = KEPT / server.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with (folder / "output.txt").open("wb") as output:
        try:
            done = subprocess.run(
                command(server, str(folder / "run")), cwd=ROOT, stdout=output, stderr=output, timeout=RUN_S, check=False
            )
            trouble = "" if done.returncode in VERDICTS else f"the run ended with {done.returncode}"
        except subprocess.TimeoutExpired:
            trouble = f"the run was stopped after {RUN_S} s"
    verdicts = folder / "run" / "verdicts.jsonl"
    rows = [json.loads(line) for line in verdicts.read_text("utf-8").split("\n") if line] if verdicts.exists() else []
    counts = Counter(row["outcome"] for row in rows)
    print(f"{server.name}: {dict(counts)} {trouble}", flush=True)
    return {
        "suite": dict(counts),
        "suite_failed": {_name(row): _describe(row) for row in rows if row["outcome"] in BAD},
        "suite_trouble": trouble or ("" if rows else "no check was judged"),
    }


def _name(row: dict[str, Any]) -> str:
    return f"{row['id']} ({row['tier']})"


def _describe(row: dict[str, Any]) -> str:
    """Return the claim, and what was expected and found; of an error its reason."""
    if row["outcome"] == "error":
        return f"error: {row.get('reason')}"
    return f"{row['claim']} Expected: {row.get('expected')}. Found: {row.get('found')}."


def command(server: SupervisedServer, output: str) -> list[str]:
    """Return the command of the run."""
    launched = f"'{sys.executable}' '{LAUNCHER}' {server.name} {{host}} {{port}} {{gateway_url}}"
    options = [f"--health-path={server.health_path}", "--start-timeout=60"]
    can = server.can
    if server.hang_timeout_s:
        can, options = f"{can},watchdog", [*options, f"--hang-timeout={server.hang_timeout_s:g}"]
    options += [f"--api-key={server.api_key}"] if server.api_key else []
    return [
        sys.executable, "-m", "lumen_conformance", "run", "recovery", "--command", launched, "--can", can,
        "--output", output, *options,
    ]  # fmt: skip
