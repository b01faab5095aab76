"""The watchdog: how soon a hang is noticed and replaced, and whether it ever replaces a worker that does not hang.

    python benchmarks/watchdog.py hang [--runs 50] [--watchdog-s 2] [--seed N]
    python benchmarks/watchdog.py false-kills [--minutes 30] [--watchdog-s 2] [--seed N]

`hang` stops a worker (SIGSTOP) and makes one spin, in turn, at a random moment; every second pair has both cores kept
busy. Bound: the next answer follows within twice LUMEN_WATCHDOG_S. `false-kills` runs episodes in a random order: load,
busy cores, threads that compute, a slow gateway, large bodies, 900 slow connections, both processes suspended for
longer than the limit, steps of the wall clock (in the two processes, never of this machine), a journal that cannot be
written. Bound: no restart. A full run (50 runs; 30 minutes) is kept beside this file in watchdog.json. Exit status: 0
within the bounds, else 1. POSIX only.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import random
import signal
import statistics
import sys
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from faulty_proxy import MeasuredProxy, busy_cores, proxy, until
from watchdog_episodes import ALL, Episodes

FIGURES = Path(__file__).with_suffix(".json")
FULL_RUNS, FULL_MINUTES = 50, 30.0


def hang_once(run: int, it: MeasuredProxy, watchdog_s: float, chance: random.Random) -> dict[str, object]:
    """Let the worker hang at a random moment; seconds from then to the journal's event and to the next answer."""
    kind, load = ("stop", "spin")[run % 2], ("idle", "busy")[run // 2 % 2]
    with busy_cores() if load == "busy" else contextlib.nullcontext():
        until(lambda: len(it.events("standby_ready")) > len(it.events("worker_died")))
        threading.Event().wait(chance.uniform(0, watchdog_s / 2))
        before, began = it.worker(), time.monotonic()
        if kind == "stop":
            os.kill(before, signal.SIGSTOP)
        else:
            it.fault("spin", before)
        until(lambda: it.worker() != before)
        answered_s = time.monotonic() - began
        hung = it.events("worker_hung")[-1]
    found = {
        "kind": kind,
        "load": load,
        "noticed_s": round(hung["mono"] - began, 3),
        "answered_s": round(answered_s, 3),
    }
    return found | {"process_state": hung["process_state"], "stack": bool(hung["stack"])}


def hang(runs: int, watchdog_s: float, seed: int) -> dict[str, Any]:
    """All runs, and the median and the worst of both times by load."""
    chance, rows = random.Random(seed), []  # noqa: S311 - moments, not secrets
    with proxy(watchdog_s) as it:
        for run in range(runs):
            rows.append(hang_once(run, it, watchdog_s, chance))
            print(f"{run + 1:3d}/{runs} {rows[-1]}", file=sys.stderr, flush=True)
    summary: dict[str, object] = {"bound_s": 2 * watchdog_s}
    for load in sorted({str(row["load"]) for row in rows}):
        for name in ("noticed_s", "answered_s"):
            times = [float(str(row[name])) for row in rows if row["load"] == load]
            summary[f"{load} {name}"] = {"median": round(statistics.median(times), 3), "worst": max(times)}
    late = sum(float(str(row["answered_s"])) > 2 * watchdog_s for row in rows)
    without = sum(row["kind"] == "spin" and not row["stack"] for row in rows)
    return {
        "runs": runs,
        "watchdog_s": watchdog_s,
        "late": late,
        "spun_without_stack": without,
        **summary,
        "rows": rows,
    }


def false_kills(minutes: float, watchdog_s: float, seed: int) -> dict[str, Any]:
    """Episodes in a random order until the time is over, each at least once; how often a worker was replaced."""
    chance = random.Random(seed)  # noqa: S311 - an order, not a secret
    count, replaced = Counter[str](), Counter[str]()
    with proxy(watchdog_s) as it:
        worker, end = it.worker(), time.monotonic() + 60 * minutes
        while time.monotonic() < end or len(count) < len(ALL):
            for name in chance.sample(ALL, len(ALL)):
                getattr(Episodes(it, worker, watchdog_s, chance), name)()
                count[name] += 1
                replaced[name] += (after := it.worker()) != worker
                worker = after
                print(f"{name}: {replaced[name]} of {count[name]} replaced", file=sys.stderr, flush=True)
        hung = [
            {key: event[key] for key in ("silent_s", "process_state", "stack")} for event in it.events("worker_hung")
        ]
    figures = {"minutes": minutes, "watchdog_s": watchdog_s, "episodes": dict(count), "replaced": dict(+replaced)}
    return {**figures, "restarts": sum(replaced.values()), "hung": hung}


def main() -> int:
    """Run one job, keep a full run, say the verdict."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", choices=("hang", "false-kills"))
    parser.add_argument("--runs", type=int, default=FULL_RUNS)
    parser.add_argument("--minutes", type=float, default=FULL_MINUTES)
    parser.add_argument("--watchdog-s", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    if options.job == "hang":
        result = hang(options.runs, options.watchdog_s, options.seed)
        is_good, is_full = not result["late"], options.runs >= FULL_RUNS or options.watchdog_s >= 10
    else:
        result = false_kills(options.minutes, options.watchdog_s, options.seed)
        is_good, is_full = not result["restarts"], options.minutes >= FULL_MINUTES
    when, where = datetime.now(UTC).date().isoformat(), f"{platform.system()}, {os.cpu_count()} cores"
    result = {"when": when, "where": f"{where}, Python {platform.python_version()}", "seed": options.seed, **result}
    print(json.dumps({key: value for key, value in result.items() if key != "rows"}, indent=2))
    if is_full:
        kept = json.loads(FIGURES.read_text("utf-8")) if FIGURES.exists() else {}
        kept[f"{options.job} {options.watchdog_s:g} s"] = result
        FIGURES.write_text(json.dumps(kept, indent=2) + "\n", "utf-8")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
