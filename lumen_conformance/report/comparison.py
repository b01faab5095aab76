"""What differs between the verdicts of two runs, for example of two releases.

A check of tier M that was judged before and is not judged now is a failure, as it is in a run: the release may have
broken what the check needs. One of tier S or W is shown only, as its tier does not fail the run of every target.

A check that fails now and was not judged before is "newly judged" and no failure: another defect hid it, so nobody
knows whether it is new.

A check that only the old run has is "newly absent" and no failure: the new run did not select it, or the suite does not
have it any more. A check that was selected and did not run is an error in the new run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from lumen_conformance.registry.old_ids import translate
from lumen_conformance.report.known_ids import names

FAILING: Final = frozenset({"failed", "error", "baselined"})  # a warning, of tier S or W, fails no run
NOT_JUDGED: Final = "newly not judged"
JUDGED: Final = "newly judged"
GROUPS: Final = (
    "newly failing", NOT_JUDGED, JUDGED, "newly warned", "newly passing", "newly absent", "newly present",
    "other changes",
)  # fmt: skip


class VerdictLine(msgspec.Struct, frozen=True):
    """What a line of a verdict file must have to be compared, and what is shown of it."""

    id: str
    param: str | None
    tier: str
    outcome: str
    reason: str | None
    claim: str = ""
    expected: str | None = None
    found: str | None = None
    at: str | None = None
    cause: str | None = None
    measurement: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        """The present id, with its parameters."""
        return names(translate(self.id), self.param or "")[0]


Verdicts = dict[str, VerdictLine]  # by name


@dataclass(frozen=True)
class Change:
    """One check whose outcome differs; ``old`` or ``new`` is None where a run lacks it."""

    id: str
    tier: str
    old: str | None
    new: str | None
    reason: str | None

    @property
    def group(self) -> str:
        """The heading below which it is shown."""
        if self.new is None:
            return "newly absent"
        if self.new == "passed" and self.old is not None:
            return "newly passing"
        if self.old == "not_judged" and self.new in FAILING:
            return JUDGED
        by_outcome = {**dict.fromkeys(FAILING, "newly failing"), "not_judged": NOT_JUDGED, "warned": "newly warned"}
        other = "newly present" if self.old is None else "other changes"
        return other if self.old in FAILING else by_outcome.get(self.new, other)

    @property
    def fails(self) -> bool:
        """Whether it is a failure. A check of tier M that was not judged fails a run, too."""
        return self.group == "newly failing" or (self.group == NOT_JUDGED and self.tier == "M")


def differences(old: Verdicts, new: Verdicts) -> list[Change]:
    """Return the checks whose outcome differs, in the order of the new run, then of the old one."""
    found = []
    for name, latest in (new | {name: each for name, each in old.items() if name not in new}).items():
        before, after = old.get(name), new.get(name)
        outcomes = [each.outcome if each else None for each in (before, after)]
        if outcomes[0] != outcomes[1]:
            found.append(Change(name, latest.tier, outcomes[0], outcomes[1], after.reason if after else None))
    return found


def in_groups(changes: list[Change]) -> dict[str, list[Change]]:
    """Return the changes by their groups, in the order of the groups."""
    return {name: [each for each in changes if each.group == name] for name in GROUPS}
