"""The journal of a target, read as its users read it: one JSON event a line, marked before the act."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lumen_conformance.waiting import observe, until


@dataclass(frozen=True)
class JournalEvent:
    """One line. ``mono_s`` compares with ``time.monotonic()`` of the tests; ``fields`` has the rest."""

    name: str
    mono_s: float
    instance: str
    fields: dict[str, Any]

    def __getitem__(self, field: str) -> Any:  # noqa: ANN401 -- whatever the journal has
        """One field; raises KeyError."""
        return self.fields[field]


JournalMark = Mapping[Path, int]
"""How many bytes each file of a journal had."""
BEGINNING: JournalMark = {}


@dataclass(frozen=True)
class JournalReader:
    """The journal in a folder: `journal-PORT.jsonl`, as the port may not be known yet (or `journal.jsonl`).

    `alive` tells why no more events will come, or None.
    """

    folder: Path
    alive: Callable[[], str | None]

    def mark(self) -> JournalMark:
        """The end of the journal now; taken before an act, it tells what came after."""
        return {path: path.stat().st_size for path in self._files()}

    def events(self, since: JournalMark = BEGINNING, name: str | None = None) -> tuple[JournalEvent, ...]:
        """All events after a mark, or those of one name. A line that is still being written is left for later."""
        found: list[JournalEvent] = []
        for path in self._files():
            data = path.read_bytes()[since.get(path, 0) :]
            lines = data[: data.rfind(b"\n") + 1].splitlines()
            found += (_event(json.loads(line)) for line in lines)
        found.sort(key=lambda event: event.mono_s)
        return tuple(event for event in found if name in {None, event.name})

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("journal*.jsonl"))

    def until(self, name: str, *, since: JournalMark = BEGINNING, within_s: float) -> JournalEvent:
        """The first event of this name after the mark; raises `waiting.Overdue` or `waiting.Died`."""
        return until(f"journal has {name}", self._first(name, since), within_s=within_s, alive=self.alive)

    def observe(self, name: str, *, since: JournalMark = BEGINNING, within_s: float) -> JournalEvent | None:
        """Like `until`, but None when it did not come: for stages, which never judge."""
        return observe(f"journal has {name}", self._first(name, since), within_s=within_s, alive=self.alive)

    def _first(self, name: str, since: JournalMark) -> Callable[[], JournalEvent | None]:
        return lambda: next(iter(self.events(since, name)), None)


def _event(line: dict[str, Any]) -> JournalEvent:
    rest = {key: value for key, value in line.items() if key not in {"event", "mono", "instance", "ts"}}
    return JournalEvent(line["event"], line["mono"], line["instance"], rest)
