"""Measure how long each module of the suites takes: `python benchmarks/durations.py [MODULE …]`.

Writes lumen_conformance/durations.json, by which ``--shard`` deals modules out. Only the ratios matter: measure new
modules by their paths, and all again when many have changed. The record of a deleted module is removed.
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
    for line in record.read_text("utf-8").split("\n"):  # a text may have U+2028
        if line and (report := json.loads(line).get("report")):
            path = Path(report["nodeid"].partition("::")[0])
            found_s[f"{path.parent.name}/{path.name}"] += report["duration"]
    return {name: round(seconds, 2) for name, seconds in sorted(found_s.items())}


def main(modules: list[str]) -> int:
    """Run modules against our own proxy and against the example server; return the first exit status but 0."""
    found_s: dict[str, float] = {}
    server = f"'{sys.executable}' -m lumen_conformance.examples.forwarder {{host}} {{port}} {{gateway_url}}"
    for options in ((), (f"--proxy-command={server}",)):
        with tempfile.TemporaryDirectory() as folder:
            files = [f"--record={folder}/record.jsonl", f"--html={folder}/page.html"]
            command = [sys.executable, "-m", "pytest", "-m", "contract or recovery", *files, *options, *modules]
            if status := subprocess.run(command, cwd=ROOT, check=False).returncode:
                return status
            for name, seconds in measure(Path(folder) / "record.jsonl").items():
                found_s[name] = max(found_s.get(name, 0.0), seconds)
    kept_s = json.loads(FILE.read_text("utf-8")) if modules else {}
    found_s = {name: took_s for name, took_s in {**kept_s, **found_s}.items() if (ROOT / "tests" / name).exists()}
    FILE.write_text(json.dumps(found_s, indent=1, sort_keys=True) + "\n", encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
