"""Fifty runs of the recovery selection in a row; one red run is a bug of the highest priority.

    python benchmarks/stability.py [--runs 50] [--beside TEXT] [--json]

Every second run has each core kept busy by another process, because a race that a quiet machine hides
shows there. The figures of the last full series are kept beside this file in stability.json.
Exit status: 0 when every run was green, 1 at the first red one (its output is kept and named).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIGURES = Path(__file__).with_suffix(".json")
SELECTION = "recovery"
FULL_SERIES = 50


def busy_cores(stack: ExitStack) -> None:
    """Keep every core busy with work that is not ours until the stack is closed."""
    for _ in range(os.cpu_count() or 1):
        burner = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        stack.callback(burner.wait)
        stack.callback(burner.kill)


def run_once(log: Path) -> tuple[int, float, str]:
    """Run the selection; return exit status, wall seconds and pytest's closing line."""
    report = log.with_suffix(".html")
    command = [sys.executable, "-m", "pytest", "-m", SELECTION, f"--html={report}", "--color=no"]
    begun = time.monotonic()
    with log.open("wb") as output:
        done = subprocess.run(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, check=False)
    lines = log.read_text("utf-8", "replace").strip().splitlines()
    return done.returncode, time.monotonic() - begun, lines[-1].strip("= ") if lines else "no output"


def series(runs: int, folder: Path) -> list[dict[str, object]]:
    """All runs, quiet and busy in turn; stops at the first red one."""
    figures: list[dict[str, object]] = []
    for number in range(1, runs + 1):
        load = "busy" if number % 2 == 0 else "quiet"
        with ExitStack() as stack:
            if load == "busy":
                busy_cores(stack)
            log = folder / f"run-{number:02d}.log"
            status, seconds, closing = run_once(log)
        figures.append(
            {"run": number, "load": load, "exit_status": status, "seconds": round(seconds, 2), "said": closing}
        )
        print(f"{number:3d}/{runs} {load:5s} {seconds:6.1f} s  {closing}", file=sys.stderr, flush=True)
        if status:
            print(f"red: its output is in {log}", file=sys.stderr)
            break
    return figures


def summary(figures: list[dict[str, object]]) -> dict[str, object]:
    """What is worth keeping: how many were green, and how long they took by load, in seconds."""
    by_load: dict[str, list[float]] = {"quiet": [], "busy": []}
    for figure in figures:
        by_load[str(figure["load"])].append(float(str(figure["seconds"])))
    seconds = {
        load: {"median": round(statistics.median(times), 2), "worst": max(times)}
        for load, times in by_load.items()
        if times
    }
    green = sum(figure["exit_status"] == 0 for figure in figures)
    tests = sorted({m.group() for f in figures if (m := re.search(r"\d+ passed", str(f["said"])))})
    where = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}, {os.cpu_count()} cores"
    when = datetime.now(UTC).date().isoformat()
    return {
        "when": when,
        "where": where,
        "selection": SELECTION,
        "runs": len(figures),
        "green": green,
        "tests": tests,
        "seconds": seconds,
    }


def commit() -> str:
    """What was measured: the id of the commit, and whether files differed from it."""
    command = ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"  # an archive without its history
    return done.stdout.strip()


def is_full(result: dict[str, object], asked: int) -> bool:
    """Whether a series is worth keeping: all that was asked for, long enough, and not one red run."""
    return result["green"] == asked >= FULL_SERIES


def main() -> int:
    """Run the series, keep a full one, say the verdict."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=FULL_SERIES)
    parser.add_argument("--beside", default="nothing else", help="what else runs; kept with the figures")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    folder, measured = Path(tempfile.mkdtemp(prefix="lumen-stability-")), commit()  # before anybody goes on working
    result = {"commit": measured, "beside": options.beside, **summary(series(options.runs, folder))}
    if is_full(result, options.runs):
        FIGURES.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    print(
        json.dumps(result, indent=2)
        if options.json
        else f"{result['green']} of {options.runs} runs green: {result['seconds']}"
    )
    return 0 if result["green"] == options.runs else 1


if __name__ == "__main__":
    sys.exit(main())
