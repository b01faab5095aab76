"""Read the journal and the logs together: across rotations, in order of time, to the end or continuously."""

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
    from collections.abc import Iterable, Iterator
    from pathlib import Path

LOOK_EVERY_S = 0.25  # how soon a new line is shown
FIRST = ("ts", "event", "level")  # shown in front, without their names


def rotations(path: Path) -> list[Path]:
    """The files of one log, oldest first; the current one, `path` itself, is the last."""
    return [*(name for _, name in reversed(rotation.older(path))), path]


@dataclass(frozen=True, order=True)
class Entry:
    """One line of one log. Ordered by time, as ISO 8601 in UTC is by its letters."""

    ts: str
    log: str = field(compare=False)
    fields: dict[str, Any] = field(compare=False)

    def in_local_time(self) -> Entry:
        """The same with the time of this machine's time zone, with its offset. A time that cannot be read stays."""
        try:
            local = datetime.fromisoformat(self.ts).astimezone().isoformat(timespec="milliseconds")
        except ValueError:
            return self
        return Entry(local, self.log, {**self.fields, "ts": local})

    def as_json(self) -> str:
        """The line with the name of its log."""
        return json.dumps({"log": self.log, **self.fields})

    def as_text(self) -> str:
        """For people: time, log, event, then the rest by name; control characters are made harmless."""
        rest = [f"{name}={value}" for name, value in self.fields.items() if name not in FIRST and value is not None]
        level = self.fields.get("level", "-")
        words = [self.ts, f"{self.log:12}", f"{level:7}", str(self.fields.get("event", "?")), *rest]
        return "".join(c if c.isprintable() else "?" for c in " ".join(words))


def _entry(log: str, line: bytes) -> Entry | None:
    try:
        fields = strict_json(line)
    except ValueError:
        return None  # torn by a full disk, or no JSON: NaN, 1e999
    return Entry(str(fields.get("ts", "")), log, fields) if isinstance(fields, dict) else None


def logs_in(log_dir: Path, port: int | None = None) -> list[Path]:
    """The current file of every log, or of those of one port."""
    return sorted(log_dir.glob("*.jsonl" if port is None else f"*-{port}.jsonl"))


def _parsed(log: str, lines: Iterable[bytes]) -> Iterator[Entry]:
    return (entry for line in lines if (entry := _entry(log, line)))


class Follower:
    """Remembers how far each log was read: by file, not by name, since a rotation renames files.

    A file is known by its inode and its first line: an inode alone is given to a new file when its file is deleted.
    """

    def __init__(self, log_dir: Path, port: int | None = None) -> None:
        self._log_dir = log_dir
        self._port = port  # None: of every instance
        self._read: dict[tuple[int, bytes], int] = {}  # inode and first line → bytes

    def news(self, last: int | None = None) -> list[Entry]:
        """What was written since the last call (the first gives all), or the last lines of that, in order of time."""
        found: list[Entry] = []
        last = None if last is None else min(last, sys.maxsize)  # a deque takes no more
        for path in logs_in(self._log_dir, self._port):
            lines = (line for file in rotations(path) for line in self._more(file))
            found += deque(_parsed(path.stem, lines), maxlen=last)
        found.sort()
        return found if last is None else found[max(len(found) - last, 0) :]

    def _more(self, path: Path) -> list[bytes]:
        """The whole lines that are new. All is read from one open file: its name may belong to another file by then."""
        try:
            with path.open("rb") as file:
                first = file.readline(FIRST_LINE_BYTES)
                known = os.fstat(file.fileno()).st_ino, first
                file.seek(self._read.get(known, 0))
                data = file.read() if first.endswith(b"\n") or len(first) == FIRST_LINE_BYTES else b""
        except OSError:
            return []
        data = data[: data.rfind(b"\n") + 1]
        if data:
            self._read[known] = self._read.get(known, 0) + len(data)
        return data.split(b"\n")[:-1]


def show(follower: Follower, *, last: int, follow: bool, as_json: bool, local: bool = False) -> None:
    """Print the last lines, and with `follow` all that come until Ctrl-C."""

    def put(entries: Iterable[Entry]) -> None:
        for entry in entries:
            timed = entry.in_local_time() if local else entry
            streams.show(timed.as_json() if as_json else timed.as_text())

    pause = threading.Event()
    try:
        put(follower.news(last))
        while follow and not streams.is_unheard() and not pause.wait(LOOK_EVERY_S):
            put(follower.news())
    except KeyboardInterrupt:
        return
