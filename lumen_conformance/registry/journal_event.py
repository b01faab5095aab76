"""One event of a target's journal, which has one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

_TYPES: Final = {"event": str, "mono": int | float, "instance": str}
LATEST_S: Final = 1e11  # three thousand years: a target may write any number


@dataclass(frozen=True)
class JournalEvent:
    """One line. ``mono_s`` is on the clock of ``time.monotonic()``; ``fields`` has the other fields."""

    name: str
    mono_s: float
    instance: str
    fields: dict[str, Any]

    def __getitem__(self, field: str) -> Any:  # noqa: ANN401 -- any JSON
        """Return one field; raises KeyError."""
        return self.fields[field]


def parse_events(data: bytes) -> Iterator[JournalEvent]:
    """Yield the events of whole lines; what is no event is left out: check 18.3."""
    for line in data[: data.rfind(b"\n") + 1].splitlines():
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict) and all(isinstance(found.get(name), kind) for name, kind in _TYPES.items()):
            rest = {key: value for key, value in found.items() if key not in {*_TYPES, "ts"}}
            if 0 <= found["mono"] <= LATEST_S:  # also not for NaN
                yield JournalEvent(found["event"], float(found["mono"]), found["instance"], rest)
