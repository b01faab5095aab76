"""A rotated file of lines, with limits on its size, the number of old files and their age.

The file is opened for each line, so that it can be renamed between two lines: Windows cannot rename an open file. Two
processes write to one file only while one hands its port over to the other. A failed write is counted and raises no
exception. An incomplete last line, which a process or a machine left that ended while it wrote, gets an end of line, so
that the next line is a line of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from io import FileIO
    from pathlib import Path

DAY_S = 86_400
AGE_CHECK_S = 3_600.0  # between two checks of the age; the limit is in days
FIRST_LINE_BYTES = 4_096  # contains the time stamp, the first field of a line


def older(path: Path) -> list[tuple[int, Path]]:
    """The rotated files of a log with their numbers, the newest (1) first."""
    found = ((name.name.removeprefix(f"{path.name}."), name) for name in path.parent.glob(f"{path.name}.*"))
    return sorted((int(number), name) for number, name in found if number.isdecimal())


class RotatedFile:
    """`path` and up to `keep` older files, `path.1` the newest; none above `max_bytes`, no line older than `days`.

    `lost` counts the lines that could not be written.
    """

    def __init__(self, path: Path, *, max_bytes: int, keep: int, days: int) -> None:
        self.path = path
        self.lost = 0
        self._max_bytes = max_bytes
        self._keep = keep
        self._days_s = days * DAY_S
        self._lock = threading.Lock()
        self._next_check = 0.0
        self._is_first = True  # of this process

    def append(self, line: bytes) -> None:
        """Append one line in a single write, so that the lines of two writers do not mix."""
        with self._lock:
            try:
                self._append(line)
            except OSError:
                self.lost += 1

    def _append(self, line: bytes) -> None:
        is_old = self._is_old()
        if self._is_first and self._is_torn():
            line = b"\n" + line
        self._is_first = False
        with self._open() as file:
            is_full = file.tell() > 0 and (is_old or file.tell() + len(line) > self._max_bytes)
            if not is_full:
                file.write(line)
        if is_full:
            self._rotate()
            with self._open() as file:
                file.write(line.removeprefix(b"\n"))

    def _open(self) -> FileIO:
        """Open the current file. Create its folder again if it was deleted."""
        try:
            return self.path.open("ab", buffering=0)
        except FileNotFoundError:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            return self.path.open("ab", buffering=0)

    def _is_torn(self) -> bool:
        """Whether the current file ends within a line."""
        try:
            with self.path.open("rb") as file:
                file.seek(-1, os.SEEK_END)
                return file.read(1) != b"\n"
        except OSError:  # no file, or an empty one
            return False

    def _is_old(self) -> bool:
        """Whether the current file covers its share of `days`, so that the oldest line is removed in time."""
        if time.monotonic() < self._next_check:
            return False
        self._next_check = time.monotonic() + AGE_CHECK_S
        self._remove_old()
        return time.time() - self._first_line_time() > self._days_s / (self._keep + 1)

    def _first_line_time(self) -> float:
        """When the first line of the current file was written; the current time if that is not known."""
        try:
            with self.path.open("rb") as file:
                first = file.read(FIRST_LINE_BYTES).split(b"\n")[0]
            return datetime.fromisoformat(json.loads(first)["ts"]).timestamp()
        except (OSError, ValueError, KeyError, TypeError):
            return time.time()

    def _rotate(self) -> None:
        """`x` becomes `x.1`, `x.1` becomes `x.2`, …; files above `keep` and old files are removed."""
        for number, path in reversed([(0, self.path), *older(self.path)]):
            with contextlib.suppress(FileNotFoundError):  # the other process has renamed it
                path.replace(self.path.with_name(f"{self.path.name}.{number + 1}"))
        self._remove_old()

    def _remove_old(self) -> None:
        """Remove all surplus files: `keep` may have been larger before."""
        for number, path in older(self.path):
            if number > self._keep or time.time() - path.stat().st_mtime > self._days_s:
                path.unlink()
