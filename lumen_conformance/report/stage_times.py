"""What the folder of a stage has with a time: the events of its journals, and what its record has.

A target writes its journal, and a record may have JSON of a target: what is no time of this stage is left out.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import msgspec

from lumen_conformance.registry.journal_event import JournalEvent, parse_events
from lumen_conformance.registry.regular_files import list_regular_files

LARGEST_JOURNAL_BYTES: Final = 8_000_000  # a stage of a minute writes some kilobytes
LONGEST_S: Final = 1e6  # of one exchange or wait
Found = TypeVar("Found")
Moment = Annotated[float, msgspec.Meta(gt=0, le=1e12)]  # on the clock of time.monotonic()
Seconds = Annotated[float, msgspec.Meta(ge=0, le=LONGEST_S)]


class StageSignal(msgspec.Struct):
    """A signal of the stage: `processes.sent_signals`."""

    name: str
    pid: int
    sent_mono_s: float
    began_mono_s: float


class _Stage(msgspec.Struct):
    stage: str
    began_mono_s: Moment
    ended_mono_s: Moment
    evidence: Any
    signals: list[StageSignal] = []


class _Exchange(msgspec.Struct):
    url: str
    sent_mono_s: Moment
    ended_s: Seconds
    status: int | None = None
    ended: str = ""


class _Ref(msgspec.Struct):
    pid: int


class _Process(msgspec.Struct):
    ref: _Ref


class _Recovery(msgspec.Struct):
    killed_mono_s: Moment
    replaced: list[_Process]
    waited_s: Seconds
    replaced_s: Seconds | None
    answered_s: Seconds | None


class StageTimes:
    """The times of one stage; raises OSError or ValueError for a folder without a record of a stage."""

    def __init__(self, folder: Path) -> None:
        found = json.loads((folder / "record.json").read_bytes())
        self._stage = msgspec.convert(found, _Stage)
        self.name = self._stage.stage
        self.exchanges: list[dict[str, Any]] = []
        self.recoveries: list[dict[str, Any]] = []
        self.signals = self._stage.signals
        self._walk(self._stage.evidence)
        paths = [each for each in list_regular_files(folder) if each.match("journal*.jsonl")]
        events = (each for path in paths for each in parse_events(_read(path)))
        self.events: list[JournalEvent] = sorted(
            (each for each in events if self._has(each.mono_s)), key=lambda each: each.mono_s
        )

    def _has(self, begin_mono_s: float, lasted_s: float = 0.0) -> bool:
        """Return whether something is within the time of the stage."""
        return self._stage.began_mono_s <= begin_mono_s <= self._stage.ended_mono_s - lasted_s

    def _walk(self, value: object) -> None:
        """Find exchanges and recoveries anywhere in the record."""
        if isinstance(value, dict):
            if value.get("sent_mono_s") and "url" in value:
                self.exchanges += [value] * self._is_exchange(value)
                return
            if value.get("killed_mono_s") and "killed" in value:
                self.recoveries += [value] * self._is_recovery(value)
            value = list(value.values())
        if isinstance(value, list):
            for each in value:
                self._walk(each)

    def _is_exchange(self, value: object) -> bool:
        found = _convert(value, _Exchange)
        return found is not None and self._has(found.sent_mono_s, found.ended_s)

    def _is_recovery(self, value: object) -> bool:
        found = _convert(value, _Recovery)
        if found is None:
            return False
        return self._has(found.killed_mono_s, max(found.waited_s, found.replaced_s or 0.0, found.answered_s or 0.0))


def _convert(value: object, kind: type[Found]) -> Found | None:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return None


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(LARGEST_JOURNAL_BYTES)
