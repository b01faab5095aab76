"""Reads the journal and the logs together, across rotations and in order of time. The command `logs` uses it."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from lumen_proxy.console import streams
from lumen_proxy.logs import rotation
from lumen_proxy.logs.rotation import FIRST_LINE_BYTES
from lumen_proxy.wire.text import strict_json

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

POLL_S = 0.25  # how soon a new line is shown
FIRST = ("ts", "event", "level")  # shown first, without their names


def rotations(path: Path) -> list[Path]:
    """The files of one log, oldest first; `path` itself is the last one."""
    return [*(name for _, name in reversed(rotation.older(path))), path]


@dataclass(frozen=True, order=True)
class LogEntry:
    """One line of one log. Entries are ordered by time; ISO 8601 in UTC sorts as text."""

    ts: str
    log: str = field(compare=False)
    fields: dict[str, Any] = field(compare=False)

    def in_local_time(self) -> LogEntry:
        """The entry with local time and UTC offset. An invalid time stays as it is."""
        try:
            local = datetime.fromisoformat(self.ts).astimezone().isoformat(timespec="milliseconds")
        except ValueError:
            return self
        return LogEntry(local, self.log, {**self.fields, "ts": local})

    def as_json(self) -> str:
        """The fields and the name of the log."""
        return json.dumps({"log": self.log, **self.fields})

    def as_text(self) -> str:
        """For people: time, log, level, event, then the other fields; control characters are replaced."""
        rest = [f"{name}={value}" for name, value in self.fields.items() if name not in FIRST and value is not None]
        level = self.fields.get("level", "-")
        parts = [self.ts, f"{self.log:12}", f"{level:7}", str(self.fields.get("event", "?")), *rest]
        return streams.replace_unprintable(" ".join(parts))


def _parse(log: str, line: bytes) -> LogEntry | None:
    try:
        fields = strict_json(line)
    except ValueError:
        return None  # cut by a full disk, or not JSON: NaN, 1e999
    return LogEntry(str(fields.get("ts", "")), log, fields) if isinstance(fields, dict) else None


def logs_in(log_dir: Path, port: int | None) -> list[Path]:
    """The current file of each log, or of each log of one port."""
    return sorted(log_dir.glob("*.jsonl" if port is None else f"*-{port}.jsonl"))


class Follower:
    """Stores how far each log file was read. A rotation renames files, so the name does not identify a file.

    The inode and the first line identify a file: a new file may get the inode of a deleted one.
    """

    def __init__(self, log_dir: Path, port: int | None = None) -> None:
        self._log_dir = log_dir
        self._port = port  # None: all instances
        self._read: dict[tuple[int, bytes], int] = {}  # inode and first line → bytes

    def read_new(self, last: int | None = None) -> list[LogEntry]:
        """The entries since the last call (the first call returns all), or the last ones of them, in order of time."""
        found: list[LogEntry] = []
        last = None if last is None else min(last, sys.maxsize)  # the limit of deque
        for path in logs_in(self._log_dir, self._port):
            lines = (line for file in rotations(path) for line in self._read_new_lines(file))
            entries = (entry for line in lines if (entry := _parse(path.stem, line)))
            found += deque(entries, maxlen=last)
        found.sort()
        return found if last is None else found[max(len(found) - last, 0) :]

    def _read_new_lines(self, path: Path) -> list[bytes]:
        """The new complete lines. One open file is used throughout, because its name may change."""
        try:
            with path.open("rb") as file:
                first = file.readline(FIRST_LINE_BYTES)
                identity = os.fstat(file.fileno()).st_ino, first
                file.seek(self._read.get(identity, 0))
                data = file.read() if first.endswith(b"\n") or len(first) == FIRST_LINE_BYTES else b""
        except OSError:
            return []
        data = data[: data.rfind(b"\n") + 1]
        if data:
            self._read[identity] = self._read.get(identity, 0) + len(data)
        return data.split(b"\n")[:-1]


def show(follower: Follower, *, last: int, follow: bool, as_json: bool, local: bool) -> None:
    """Print the last entries; with `follow` also new entries until Ctrl-C."""

    def print_entries(entries: Iterable[LogEntry]) -> None:
        for entry in entries:
            shown = entry.in_local_time() if local else entry
            streams.show(shown.as_json() if as_json else shown.as_text())

    pause = threading.Event()
    try:
        print_entries(follower.read_new(last))
        while follow and not streams.is_output_lost() and not pause.wait(POLL_S):
            print_entries(follower.read_new())
    except KeyboardInterrupt:
        return
