"""Measure how long each module of the suites takes: `python benchmarks/durations.py`.

Writes lumen_conformance/durations.json, by which ``--shard`` deals modules out. Only the ratios matter: measure again
when modules come, go or change much.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "lumen_conformance" / "durations.json"


def measure(record: Path) -> dict[str, float]:
    """Return the seconds of each module, as folder and file name, from the record of a run."""
    found_s: dict[str, float] = defaultdict(float)
    for line in record.read_text("utf-8").splitlines():
        if report := json.loads(line).get("report"):
            path = Path(report["nodeid"].partition("::")[0])
            found_s[f"{path.parent.name}/{path.name}"] += report["duration"]
    return {name: round(seconds, 2) for name, seconds in sorted(found_s.items())}


def main() -> int:
    """Run both suites against our own proxy, one test at a time; return the exit status of pytest."""
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder) / "record.jsonl"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-m",
            "contract or recovery",
            f"--record={record}",
            f"--html={folder}/page.html",
        ]
        status = subprocess.run(command, cwd=ROOT, check=False).returncode
        if not status:
            FILE.write_text(json.dumps(measure(record), indent=1) + "\n", encoding="utf-8", newline="\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
