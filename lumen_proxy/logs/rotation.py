"""A file of lines that is rotated, and capped in size, number and days.

It is opened for each line, so that it can be renamed meanwhile: Windows refuses to rename what is open.
Each process writes files of its own. What cannot be written is counted, never fatal.
"""

from __future__ import annotations

import json
import threading
import time
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from io import FileIO
    from pathlib import Path

DAY_S = 86_400
LOOK_EVERY_S = 3_600.0  # how often the age is looked at: days need no better
FIRST_LINE_BYTES = 4_096  # the time stamp stands at the beginning of a line


def older(path: Path) -> list[tuple[int, Path]]:
    """The rotated files of a log with their numbers, the newest (1) first."""
    found = ((name.name.removeprefix(f"{path.name}."), name) for name in path.parent.glob(f"{path.name}.*"))
    return sorted((int(number), name) for number, name in found if number.isdecimal())


class RotatedFile:
    """`path` and up to `keep` older ones, `path.1` the newest; none above `max_bytes`, no line older than `days`.

    `lost` counts the lines that could not be written.
    """

    def __init__(self, path: Path, *, max_bytes: int, keep: int, days: int) -> None:
        self.path = path
        self.lost = 0
        self._max_bytes = max_bytes
        self._keep = keep
        self._days_s = days * DAY_S
        self._lock = threading.Lock()
        self._next_look = 0.0

    def append(self, line: bytes) -> None:
        """Append one line in a single write, so that two writers never mix within a line."""
        with self._lock:
            try:
                self._append(line)
            except OSError:
                self.lost += 1

    def _append(self, line: bytes) -> None:
        aged = self._has_aged()
        with self._opened() as file:
            full = file.tell() > 0 and (aged or file.tell() + len(line) > self._max_bytes)
            if not full:
                file.write(line)
        if full:
            self._rotate()
            with self._opened() as file:
                file.write(line)

    def _opened(self) -> FileIO:
        """The current file. Its folder is made again if a cleaner has deleted it."""
        try:
            return self.path.open("ab", buffering=0)
        except FileNotFoundError:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            return self.path.open("ab", buffering=0)

    def _has_aged(self) -> bool:
        """Whether the current file has covered its share of the days, so that the last one to go is in time."""
        if time.monotonic() < self._next_look:
            return False
        self._next_look = time.monotonic() + LOOK_EVERY_S
        self._drop_old()
        return time.time() - self._begun() > self._days_s / (self._keep + 1)

    def _begun(self) -> float:
        """When the first line of the current file was written; now, if it does not tell."""
        try:
            with self.path.open("rb") as file:
                first = file.read(FIRST_LINE_BYTES).split(b"\n")[0]
            return datetime.fromisoformat(json.loads(first)["ts"]).timestamp()
        except (OSError, ValueError, KeyError, TypeError):
            return time.time()

    def _rotate(self) -> None:
        """`x` becomes `x.1`, `x.1` becomes `x.2`, …; those above the number, and those that are too old, go."""
        for number, path in reversed([(0, self.path), *older(self.path)]):
            path.replace(self.path.with_name(f"{self.path.name}.{number + 1}"))
        self._drop_old()

    def _drop_old(self) -> None:
        """By what is there, not by what was kept: the number may have been larger yesterday."""
        for number, path in older(self.path):
            if number > self._keep or time.time() - path.stat().st_mtime > self._days_s:
                path.unlink()
