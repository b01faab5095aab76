"""What it costs to judge a stream of 10 to 10,000 chunks: CPU time of all stream judges, for each chunk.

    python benchmarks/judges.py [--json]

Each length is judged in turns, a new capture each time, and the least CPU time counts: what else the machine does only
adds to it. Kinds of streams: one that is healthy, one with Korean text and emoji as escapes, one whose every chunk is
broken. The figures of the last run are kept beside this file in judges.json.
Exit status: 0 when a chunk of 10,000 costs at most 1.5 times what one of 100 costs, for each kind, else 1.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lumen_conformance.checks.catalogue import TOOL_STREAM  # noqa: E402
from lumen_conformance.checks.verdict import JudgeContext  # noqa: E402
from lumen_conformance.http.client import Capture  # noqa: E402 -- after the path is set
from tests.unit.conformance import samples  # noqa: E402

FIGURES = Path(__file__).with_suffix(".json")
LENGTHS = (10, 100, 1_000, 10_000)
ROUNDS = 5
BUDGET = 1.5  # flat is 1; caches of the processor hold 100 chunks, not 10,000
US = 1_000_000


def pieces(length: int) -> list[str]:
    """Text in so many pieces, each unlike the others."""
    return [f"word {number} " for number in range(length)]


def healthy(length: int) -> Capture:
    """A stream as it should be."""
    return samples.stream(samples.chunks(pieces(length)))


def escaped(length: int) -> Capture:
    """Korean text and emoji, all of it as escapes."""
    chunks = samples.chunks(f"낱말 {number} 👋🏽 " for number in range(length))
    return samples.stream(b"".join(b"data: " + samples.ascii_encoded(each) + b"\n\n" for each in [*chunks, b"[DONE]"]))


def broken(length: int) -> Capture:
    """Each chunk has a time in words, a role, and an unknown finish reason."""
    chunks = samples.chunks(pieces(length))
    for chunk in chunks:
        chunk.update(created="now")
        chunk["choices"][0].update(finish_reason="done")
        chunk["choices"][0]["delta"]["role"] = "bot"
    return samples.stream(chunks)


KINDS: dict[str, Callable[[int], Capture]] = {"healthy": healthy, "escaped": escaped, "broken": broken}


def judge_s(capture: Capture) -> float:
    """CPU seconds of all judges of a stream."""
    known = JudgeContext(
        text="", finish="stop", secrets=("sk-hush-hush",), upstream=("gateway.example",), said_mono_s=1.0
    )
    began_s = time.process_time()
    for judge in TOOL_STREAM:
        judge(capture, known)
    return time.process_time() - began_s


def row(kind: str) -> dict[str, object]:
    """Microseconds for each chunk by length, and the ratio of 10,000 to 100."""
    costs_us: dict[int, float] = {}
    for _ in range(ROUNDS):
        for length in LENGTHS:
            cost_us = judge_s(KINDS[kind](length)) / length * US
            costs_us[length] = min(cost_us, costs_us.get(length, cost_us))
    shown = {f"us_per_chunk_{length}": round(cost_us, 1) for length, cost_us in costs_us.items()}
    return {"stream": kind, **shown, "ratio": round(costs_us[10_000] / costs_us[100], 2)}


def main() -> int:
    """Judge all kinds, keep the figures, say the verdict."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    rows = [row(kind) for kind in KINDS]
    result = {
        "when": datetime.now(UTC).date().isoformat(),
        "where": f"{platform.system()}, Python {platform.python_version()}, {os.cpu_count()} cores",
        "judges": len(TOOL_STREAM),
        "rounds": ROUNDS,
        "rows": rows,
    }
    FIGURES.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    worst = max(float(str(each["ratio"])) for each in rows)
    print(json.dumps(result, indent=2) if options.json else f"10,000 : 100 chunks: {worst:g} (budget {BUDGET:g})")
    return 0 if worst <= BUDGET else 1


if __name__ == "__main__":
    sys.exit(main())
