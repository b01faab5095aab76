"""When the lines of the logs of a stage were written, so that a check can show those of its own steps.

A line of JSON has its time. The lines of other logs have none: the record of the stage says how large these logs were
after each step and before each signal.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import cached_property
from itertools import accumulate, groupby
from math import inf
from pathlib import Path
from typing import Final

import msgspec

from lumen_conformance.report.stage_times import StageTimes

MOST_LINES: Final = 60  # of one log for one check: two screens; the whole log is below them
ENDS: Final = frozenset({"worker_hung", "worker_died", "standby_died"})
MOST_ENDS: Final = 5  # of a stage; a kill storm has dozens
LINES_BEFORE: Final = 12  # each of them
TIMESTAMP_S: Final = 0.001  # a line has its time in whole milliseconds
Written = tuple[float, float]
"""After and until which time of ``time.monotonic()`` a line was written."""
NO_TIME: Final = (inf, -inf)  # of a line that is no event
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

    @cached_property
    def ends(self) -> list[float]:
        """The first times at which a process hung, died, or got a signal of the stage."""
        with suppress(OSError, ValueError, RecursionError, msgspec.MsgspecError):
            times = StageTimes(self._folder)
            ends = [each.mono_s for each in times.events if each.name in ENDS]
            signalled = [each.sent_mono_s for each in times.signals]
            return [*ends, *signalled][:MOST_ENDS]
        return []

    def lines_before_ends(self, written: Sequence[Written]) -> list[int]:
        """Return the places of the last lines before each of these times."""
        known = [(place, until) for place, (after, until) in enumerate(written) if after < inf]
        found = ([place for place, until in known if until <= end + TIMESTAMP_S] for end in self.ends)
        return sorted({place for each in found for place in each[-LINES_BEFORE:]})

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
        return NO_TIME


def lines_in(name: str, written: Sequence[Written], steps: Iterable[Step], early: int = 0) -> list[tuple[int, int]]:
    """Return first and last line of each part of a log that was written in these steps; the middle of many is cut.

    The first ``early`` lines are those before the end of a process: they stay.
    """
    spans = [(begin, end) for begin, end, own in steps if not own or any(launch in name for launch in own)]
    numbered = enumerate(written)
    found = [n for n, (after, until) in numbered if any(after < end and until > begin for begin, end in spans)]
    if len(found) > MOST_LINES:
        kept = [n for n in found if n < early][-MOST_LINES // 2 :]
        others = found[len([n for n in found if n < early]) :]
        half = (MOST_LINES - len(kept)) // 2
        found = kept + others[:half] + others[max(half, len(others) - half) :]
    parts = (list(part) for _, part in groupby(enumerate(found), key=lambda each: each[1] - each[0]))
    return [(part[0][1], part[-1][1]) for part in parts]
