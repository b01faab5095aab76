"""The journal of a target, read as its users read it: one JSON event a line, marked before the act."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lumen_conformance.waiting import seen, until


@dataclass(frozen=True)
class Event:
    """One line. ``mono_s`` compares with ``time.monotonic()`` of the tests; ``fields`` has the rest."""

    name: str
    mono_s: float
    instance: str
    fields: dict[str, Any]

    def __getitem__(self, field: str) -> Any:  # noqa: ANN401 -- whatever the journal has
        """One field; raises KeyError."""
        return self.fields[field]


Mark = Mapping[Path, int]
"""How many bytes each file of a journal had."""
BEGINNING: Mark = {}


@dataclass(frozen=True)
class Journal:
    """The journal in a folder: `journal-PORT.jsonl`, as the port may not be known yet (or `journal.jsonl`).

    `alive` tells why no more events will come, or None.
    """

    folder: Path
    alive: Callable[[], str | None]

    def mark(self) -> Mark:
        """The end of the journal now; taken before an act, it tells what came after."""
        return {path: path.stat().st_size for path in self._files()}

    def events(self, since: Mark = BEGINNING, name: str | None = None) -> tuple[Event, ...]:
        """All events after a mark, or those of one name. A line that is still being written is left for later."""
        found: list[Event] = []
        for path in self._files():
            data = path.read_bytes()[since.get(path, 0) :]
            lines = data[: data.rfind(b"\n") + 1].splitlines()
            found += (_event(json.loads(line)) for line in lines)
        found.sort(key=lambda event: event.mono_s)
        return tuple(event for event in found if name in {None, event.name})

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("journal*.jsonl"))

    def until(self, name: str, *, since: Mark = BEGINNING, within_s: float) -> Event:
        """The first event of this name after the mark; raises `WaitTimeoutError` or `WaitEndedError`."""
        return until(f"journal has {name}", self._first(name, since), within_s=within_s, alive=self.alive)

    def seen(self, name: str, *, since: Mark = BEGINNING, within_s: float) -> Event | None:
        """Like `until`, but None when it did not come: for stages, which never judge."""
        return seen(f"journal has {name}", self._first(name, since), within_s=within_s, alive=self.alive)

    def _first(self, name: str, since: Mark) -> Callable[[], Event | None]:
        return lambda: next(iter(self.events(since, name)), None)


def _event(line: dict[str, Any]) -> Event:
    rest = {key: value for key, value in line.items() if key not in {"event", "mono", "instance", "ts"}}
    return Event(line["event"], line["mono"], line["instance"], rest)
