"""The contract of our own proxy in every way, alone, in parallel, in random orders, again: the verdicts are the same.

    python benchmarks/agreement.py [--matrix]

With ``--matrix`` the matrix is run and timed instead, and its figures are added. All are kept beside this file in
agreement.json.
Exit status: 0 when all runs came to the same verdicts, 1 when they did not (each difference is told).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FIGURES = Path(__file__).with_suffix(".json")
ORDERS, REPEATS = 3, 3
AS_MAKE = ("-n4", "--dist=worksteal")  # as `make contract`
Verdicts = Mapping[str, str]


@dataclass(frozen=True)
class Way:
    """One way of running it; with a ``seed`` in an order of its own."""

    name: str
    options: tuple[str, ...]
    seed: int | None = None
    selection: str = "contract"


@dataclass
class Ran:
    """What came of it: outcomes by check and parameter, seconds on the clock, seconds of all cores."""

    way: Way
    exit_status: int
    wall_s: float
    cpu_s: float
    verdicts: Verdicts = field(default_factory=dict)

    @property
    def figures(self) -> dict[str, Any]:
        """What is kept of it."""
        return {
            "way": self.way.name,
            "options": " ".join(self.way.options),
            "seed": self.way.seed,
            "exit_status": self.exit_status,
            "wall_s": round(self.wall_s, 1),
            "cpu_s": round(self.cpu_s, 1),
            "outcomes": dict(sorted(Counter(self.verdicts.values()).items())),
        }


def ways() -> Iterator[Way]:
    """All of them; the first is what the others are compared with."""
    yield Way("alone", ("-n0",))
    yield Way("in parallel", ("-n2", "--dist=worksteal"))
    first = int.from_bytes(os.urandom(3), "big")
    yield from (Way("in random order", ("-n0",), first + number) for number in range(ORDERS))
    yield from (Way("as make contract", AS_MAKE) for _ in range(REPEATS))


def run(way: Way, folder: Path) -> Ran:
    """Run it to its end."""
    verdicts = folder / "verdicts.jsonl"
    command = [sys.executable, "-m", "pytest", "-m", way.selection, *way.options, "-q", "-p", "no:cacheprovider",
               f"--verdicts={verdicts}", f"--html={folder / 'report.html'}"]  # fmt: skip
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    if way.seed is not None:
        command += ["-p", "shuffling"]
        environ["SHUFFLE_SEED"] = str(way.seed)
    begun_s, used_s = time.monotonic(), _cpu_s()
    done = subprocess.run(command, cwd=ROOT, env=environ, stdout=subprocess.DEVNULL, check=False)
    wall_s, cpu_s = time.monotonic() - begun_s, _cpu_s() - used_s
    lines = [json.loads(line) for line in verdicts.read_text("utf-8").split("\n") if line]
    return Ran(
        way, done.returncode, wall_s, cpu_s, {f"{one['id']} {one['param'] or ''}": one["outcome"] for one in lines}
    )


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def differences(first: Ran, other: Ran) -> Iterator[str]:
    """Yield where two runs do not agree, each check once."""
    for name in sorted(first.verdicts.keys() | other.verdicts.keys()):
        one, two = first.verdicts.get(name, "not run"), other.verdicts.get(name, "not run")
        if one != two:
            yield f"{name.strip()}: {one} {first.way.name}, {two} {other.way.name} (seed {other.way.seed})"


def report(runs: list[Ran], differing: list[str]) -> dict[str, Any]:
    """What is kept."""
    return {
        "when": datetime.now(UTC).date().isoformat(),
        "where": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "cores": os.cpu_count(),
        "load_at_end": round(os.getloadavg()[0], 1),
        "checks": len(runs[0].verdicts),
        "differing": differing,
        "runs": [each.figures for each in runs],
    }


def keep(**figures: Any) -> None:  # noqa: ANN401 -- whatever JSON holds
    """Add figures to those that are kept."""
    kept = json.loads(FIGURES.read_text("utf-8")) if FIGURES.exists() else {}
    FIGURES.write_text(json.dumps(kept | figures, indent=2) + "\n", "utf-8")


def main() -> int:
    """Run all, compare, keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--matrix", action="store_true", help="run and time the matrix instead")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.matrix:
            matrix = run(Way("as make matrix", ("-n4",), selection="matrix"), folder)
            keep(matrix=matrix.figures)
            return matrix.exit_status
        runs: list[Ran] = []
        for way in ways():
            runs.append(run(way, folder))
            print(json.dumps(runs[-1].figures), file=sys.stderr, flush=True)
    differing = [told for other in runs[1:] for told in differences(runs[0], other)]
    keep(**report(runs, differing))
    print("\n".join(differing) or f"{len(runs)} runs, {len(runs[0].verdicts)} checks each: the same verdicts")
    return int(bool(differing) or not runs[0].verdicts)


if __name__ == "__main__":
    sys.exit(main())
