"""How a run ended that is compared: what its summary says, or at least its verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from lumen_conformance.report.comparison import Verdicts
from lumen_conformance.report.results import NEVER_RAN, NEVER_RAN_REASON
from lumen_conformance.report.summary import NOT_COLLECTED

FILE: Final = "summary.json"  # its name in an output folder
ENDED: Final = frozenset({0, 1})  # the exit statuses of a run that came to its end


class _Summary(msgspec.Struct):
    word: str
    exit_status: int
    counts: dict[str, int]


@dataclass(frozen=True)
class RunEnding:
    """The last word and the exit status, if they are known, and the numbers of checks and modules without a result."""

    word: str = ""
    exit_status: int | None = None
    never_ran: int = 0
    not_collected: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether nothing shows that checks have no result."""
        ended = self.exit_status is None or self.exit_status in ENDED
        return ended and not self.never_ran and not self.not_collected

    def describe(self) -> str:
        """Return it in words; empty if nothing is known."""
        parts = [self.word] if self.word else []
        parts += [f"exit status {self.exit_status}"] if self.exit_status is not None else []
        parts += [f"{self.not_collected} could not be collected"] if self.not_collected else []
        return ", ".join([*parts, *([f"{self.never_ran} never ran"] if self.never_ran else [])])


def read_ending(path: Path, verdicts: Verdicts) -> RunEnding:
    """Return the ending of a run, given as an output folder or as a file of verdicts; raises OSError or ValueError."""
    never_ran = sum(each.reason == NEVER_RAN_REASON for each in verdicts.values())
    if not (path / FILE).is_file():
        return RunEnding(never_ran=never_ran)
    found = msgspec.json.decode((path / FILE).read_bytes(), type=_Summary)
    never_ran = max(never_ran, found.counts.get(NEVER_RAN, 0))
    return RunEnding(found.word, found.exit_status, never_ran, found.counts.get(NOT_COLLECTED, 0))
