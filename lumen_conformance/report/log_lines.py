"""When the lines of the logs of a stage were written, so that a check can show those of its own steps.

A line of JSON has its time. The lines of other logs have none: the record of the stage says how large these logs were
after each step and before each signal.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import accumulate, groupby
from math import inf
from pathlib import Path
from typing import Final

import msgspec

MOST_LINES: Final = 60  # of one log for one check: two screens; the whole log is below them
TIMESTAMP_S: Final = 0.001  # a line has its time in whole milliseconds
Written = tuple[float, float]
"""After and until which time of ``time.monotonic()`` a line was written."""
Step = tuple[float, float, Sequence[str]]
"""Begin and end of a step, and parts of the names of its own logs; without any it is about all logs."""


class _Sizes(msgspec.Struct):
    at_mono_s: float
    bytes: dict[str, int]


class _StageLogs(msgspec.Struct):
    clock_s: float = 0.0
    log_sizes: list[_Sizes] = []


class LogClock:
    """When the lines of the logs of one stage were written, by its record."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._record = folder, _StageLogs()
        with suppress(OSError, msgspec.MsgspecError):
            self._record = msgspec.json.decode((folder / "record.json").read_bytes(), type=_StageLogs)

    def written(self, file: Path, content: bytes, offset: int) -> list[Written]:
        """Return when each line of a part of a log was written, which begins at this offset; empty if nobody knows."""
        lines, sizes = content.split(b"\n"), self._record.log_sizes
        if file.suffix == ".jsonl":
            return list(map(self._stamped, lines))
        name = file.relative_to(self._folder).as_posix()
        grown = list(accumulate((each.bytes.get(name, 0) for each in sizes), max))
        times = [0.0, *(each.at_mono_s for each in sizes), inf]
        ends = (offset + end - 1 for end in accumulate(len(line) + 1 for line in lines))
        numbers = (sum(size < end for size in grown) for end in ends)  # of the sizes without the line
        return [(times[number], times[number + 1]) for number in numbers] if sizes else []

    def _stamped(self, line: bytes) -> Written:
        with suppress(ValueError, KeyError, TypeError, OverflowError, RecursionError):
            found = json.loads(line)
            if "mono" in found:
                return float(found["mono"]), float(found["mono"])
            at_s = datetime.fromisoformat(found["ts"]).timestamp() - self._record.clock_s
            return at_s, at_s + TIMESTAMP_S
        return inf, -inf  # no event


def lines_in(name: str, written: Sequence[Written], steps: Iterable[Step]) -> list[tuple[int, int]]:
    """Return first and last line of each part of a log that was written in these steps; the middle of many is cut."""
    spans = [(begin, end) for begin, end, own in steps if not own or any(launch in name for launch in own)]
    numbered = enumerate(written)
    found = [n for n, (after, until) in numbered if any(after < end and until > begin for begin, end in spans)]
    if len(found) > MOST_LINES:
        found = found[: MOST_LINES // 2] + found[-MOST_LINES // 2 :]
    parts = (list(part) for _, part in groupby(enumerate(found), key=lambda each: each[1] - each[0]))
    return [(part[0][1], part[-1][1]) for part in parts]
