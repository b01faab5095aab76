"""One run of the contract against one server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from league.installing import set_up
from league.servers import ROOT, Server
from tests.fixtures.network_namespace import isolated

RUN_S = 1_800  # one to three minutes are usual
LAUNCHER = Path(__file__).parent / "launching.py"


@dataclass(frozen=True)
class Outcome:
    """What came of one server; ``trouble`` says why there are no verdicts."""

    server: Server
    verdicts: tuple[dict[str, Any], ...] = ()
    notes: tuple[dict[str, Any], ...] = ()
    elapsed_s: float = 0.0
    trouble: str = ""

    @property
    def counts(self) -> Counter[str]:
        """How many checks ended how."""
        return Counter(each["outcome"] for each in self.verdicts)

    @property
    def refuted(self) -> list[str]:
        """The ids of the M checks that failed, each once."""
        return self._ids("failed")

    @property
    def unjudged(self) -> list[str]:
        """The ids of the checks that a fault of the harness kept from a verdict: nothing is said about the server."""
        return self._ids("error")

    def _ids(self, outcome: str) -> list[str]:
        return sorted({each["id"] for each in self.verdicts if each["outcome"] == outcome})


def outcome_of(server: Server) -> Outcome:
    """Set up and judge, or say what was in the way."""
    try:
        set_up(server)
        with tempfile.TemporaryDirectory() as folder:
            return _judge(server, Path(folder))
    except subprocess.CalledProcessError as error:
        return Outcome(server, trouble=f"{' '.join(error.cmd)} ended with {error.returncode}:\n{error.stderr[-2_000:]}")
    except (OSError, subprocess.TimeoutExpired) as error:
        return Outcome(server, trouble=f"{type(error).__name__}: {error}")


def _judge(server: Server, folder: Path) -> Outcome:
    verdicts, notes = folder / "verdicts.jsonl", folder / "notes.jsonl"
    launcher = f"'{sys.executable}' '{LAUNCHER}' {server.name} {{host}} {{port}} {{gateway_url}}"
    command = [
        sys.executable, "-m", "pytest", "tests/contract", "-m", "contract", "-q", "-p", "no:cacheprovider",
        "-p", "league.notes", f"--verdicts={verdicts}", f"--html={folder / 'report.html'}",
        f"--proxy-command={launcher}", *server.options,
    ]  # fmt: skip
    start_s = time.monotonic()
    done = subprocess.run(
        isolated(command), cwd=ROOT, env={**os.environ, "LEAGUE_NOTES": str(notes)}, timeout=RUN_S, check=False,
        capture_output=True, encoding="utf-8", errors="replace",
    )  # fmt: skip
    found = tuple(_lines(verdicts))
    if not {"passed", "failed"} & {each["outcome"] for each in found}:  # it never got ready: no verdict on the server
        return Outcome(server, trouble=f"pytest ended with {done.returncode}:\n{done.stdout[-3_000:]}")
    return Outcome(server, found, tuple(_lines(notes)), time.monotonic() - start_s)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text("utf-8").split("\n") if path.exists() else ():
        if line:
            yield json.loads(line)
