"""Read the journal and the logs as one story: across rotations, in order of time, to its end or as it goes on."""

from __future__ import annotations

import json
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lumen_proxy import rotation
from lumen_proxy.ops import console

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

LOOK_EVERY_S = 0.25  # how soon a new line is shown
FIRST = ("ts", "event", "level")  # shown in front, without their names


def rotations(path: Path) -> list[Path]:
    """The files of one log, oldest first; the current one, `path` itself, is the last."""
    return [*(name for _, name in reversed(rotation.older(path))), path]


def lines_of(path: Path, offset: int = 0) -> list[bytes]:
    """The whole lines of a file from `offset`; none if it cannot be read."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read()
    except OSError:
        return []
    return data[: data.rfind(b"\n") + 1].split(b"\n")[:-1]


@dataclass(frozen=True, order=True)
class Entry:
    """One line of one log. Ordered by time, as ISO 8601 in UTC is by its letters."""

    ts: str
    log: str = field(compare=False)
    fields: dict[str, Any] = field(compare=False)

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
        fields = json.loads(line)
    except ValueError:
        return None  # torn by a full disk
    return Entry(str(fields.get("ts", "")), log, fields) if isinstance(fields, dict) else None


def logs_in(log_dir: Path) -> list[Path]:
    """The current file of every log."""
    return sorted(log_dir.glob("*.jsonl"))


def _parsed(log: str, lines: Iterable[bytes]) -> Iterator[Entry]:
    return (entry for line in lines if (entry := _entry(log, line)))


class Follower:
    """Remembers how far each log was read: by file, not by name, for names move on at a rotation."""

    def __init__(self, log_dir: Path) -> None:
        self._log_dir = log_dir
        self._read: dict[int, int] = {}  # file number → bytes

    def news(self, last: int | None = None) -> list[Entry]:
        """What was written since the last call (the first gives all), or the last lines of that, in order of time."""
        found: list[Entry] = []
        for path in logs_in(self._log_dir):
            lines = (line for file in rotations(path) for line in self._more(file))
            found += deque(_parsed(path.stem, lines), maxlen=last)
        found.sort()
        return found if last is None else found[max(len(found) - last, 0) :]

    def _more(self, file: Path) -> list[bytes]:
        try:
            about = file.stat()
        except OSError:
            return []
        offset = self._read.get(about.st_ino, 0)
        if about.st_size < offset:  # another file that got the number of one that is gone
            offset = 0
        lines = lines_of(file, offset)
        self._read[about.st_ino] = offset + sum(len(line) + 1 for line in lines)
        return lines


def show(log_dir: Path, *, last: int, follow: bool, as_json: bool, stop: threading.Event | None = None) -> None:
    """Print the last lines, and with `follow` all that come until `stop` or Ctrl-C."""

    def put(entries: Iterable[Entry]) -> None:
        for entry in entries:
            console.show(entry.as_json() if as_json else entry.as_text())

    follower = Follower(log_dir)
    ended = stop or threading.Event()
    try:
        put(follower.news(last))
        while follow and not console.is_unheard() and not ended.wait(LOOK_EVERY_S):
            put(follower.news())
    except KeyboardInterrupt:
        return
