"""The journal of a target, read as its users read it: one JSON event a line.

A test marks the end of the journal before an act, and reads what came after the mark.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lumen_conformance.registry.journal_event import JournalEvent, parse_events
from lumen_conformance.waiting import observe, until

JournalMark = Mapping[Path, int]
"""The size of each file of a journal, in bytes."""
BEGINNING: JournalMark = {}


@dataclass(frozen=True)
class JournalReader:
    """The journal in a folder: `journal-PORT.jsonl` for any port, as the port may not be known yet, or `journal.jsonl`.

    `give_up` returns the reason why no more events will come, or None.
    """

    folder: Path
    give_up: Callable[[], str | None]

    def mark(self) -> JournalMark:
        """Return the end of the journal now."""
        return {path: path.stat().st_size for path in self._files()}

    def events(self, since: JournalMark = BEGINNING, name: str | None = None) -> tuple[JournalEvent, ...]:
        """Return all events after a mark, or those of one name; what is no JSON object is left out: check 18.3."""
        found: list[JournalEvent] = []
        for path in self._files():
            found += parse_events(path.read_bytes()[since.get(path, 0) :])
        found.sort(key=lambda event: event.mono_s)
        return tuple(event for event in found if name in {None, event.name})

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("journal*.jsonl"))

    def until(self, name: str, *, since: JournalMark = BEGINNING, within_s: float) -> JournalEvent:
        """Wait for the first event of this name after the mark; raises `WaitTimeoutError` or `WaitEndedError`."""
        return until(f"journal has {name}", self._first(name, since), within_s=within_s, give_up=self.give_up)

    def observe(self, name: str, *, since: JournalMark = BEGINNING, within_s: float) -> JournalEvent | None:
        """Like `until`, but return None when the event does not come: for stages, which do not judge."""
        return observe(f"journal has {name}", self._first(name, since), within_s=within_s, give_up=self.give_up)

    def _first(self, name: str, since: JournalMark) -> Callable[[], JournalEvent | None]:
        return lambda: next(iter(self.events(since, name)), None)
