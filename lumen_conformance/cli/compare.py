"""``lumen-conformance compare``: compare two verdict files, for example those of two releases.

A check of tier M that was judged before and is not judged now is a failure, as it is in a run: the release may have
broken what the check needs. One of tier S or W is shown only, as its tier does not fail the run of every target.

A check that only the old file has is shown below "newly absent" and is no failure: the new run did not select it, or
the suite does not have it any more. A check that was selected and did not run is an error in the new file.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from lumen_conformance.cli.errors import CommandError
from lumen_conformance.cli.exit_status import ExitStatus
from lumen_conformance.cli.output import OUTPUT_FILES
from lumen_conformance.registry.old_ids import translate
from lumen_conformance.registry.visible_text import visible
from lumen_conformance.report.known_ids import names

if TYPE_CHECKING:
    import argparse

FAILING = {"failed", "error", "baselined"}  # a warning, of tier S or W, fails no run


class VerdictLine(msgspec.Struct, frozen=True):
    """What a line of a verdict file must have to be compared."""

    id: str
    param: str | None
    tier: str
    outcome: str
    reason: str | None

    @property
    def name(self) -> str:
        """The present id, with its parameters."""
        return names(translate(self.id), self.param or "")[0]


@dataclass(frozen=True)
class Change:
    """One check whose outcome differs; ``old`` or ``new`` is None where a file lacks it."""

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
        by_outcome = {**dict.fromkeys(FAILING, "newly failing"), "not_judged": NOT_JUDGED, "warned": "newly warned"}
        return "other changes" if self.old in FAILING else by_outcome.get(self.new, "other changes")

    @property
    def fails(self) -> bool:
        """Whether it is a failure. A check of tier M that was not judged fails a run, too."""
        return self.group == "newly failing" or (self.group == NOT_JUDGED and self.tier == "M")


NOT_JUDGED = "newly not judged"
REASONED = ("newly failing", NOT_JUDGED, "newly warned")
GROUPS = ("newly failing", NOT_JUDGED, "newly warned", "newly passing", "newly absent", "other changes")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the two files."""
    file = OUTPUT_FILES["verdicts"][0]
    parser.add_argument("old", metavar="OLD", help=f"{file} of the earlier run, or its output folder")
    parser.add_argument("new", metavar="NEW", help=f"{file} of the later run, or its output folder")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def main(args: argparse.Namespace) -> int:
    """Print what differs; exit status 1 when a check newly fails, or one of tier M is newly not judged."""
    changes = differences(read(Path(args.old)), read(Path(args.new)))
    groups = {name: [each for each in changes if each.group == name] for name in GROUPS}
    if args.json:
        json.dump(
            {name.replace(" ", "_"): [vars(each) for each in found] for name, found in groups.items()},
            sys.stdout,
            indent=1,
        )
        print()
    else:
        _print(groups)
    return ExitStatus.FAILED if any(each.fails for each in changes) else ExitStatus.OK


def _print(groups: dict[str, list[Change]]) -> None:
    for name, found in groups.items():
        print(f"{name}: {len(found)}")
        for each in found:
            reason = f": {visible(each.reason)}" if name in REASONED and each.reason else ""
            print(f"  {each.id} ({each.tier})  {each.old or 'absent'} -> {each.new or 'absent'}{reason}")


def read(path: Path) -> dict[str, VerdictLine]:
    """Return the verdicts of a file or an output folder, by id and parameters. Raises CommandError."""
    file = path / OUTPUT_FILES["verdicts"][0] if path.is_dir() else path
    try:
        lines = file.read_bytes().split(b"\n")
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}; give a file of --verdicts") from None
    found = [_parse(line, f"{file}, line {number}") for number, line in enumerate(lines, 1) if line.strip()]
    if not found:
        raise CommandError(f"{file} has no verdict: the run selected no check, or did not end")
    return {each.name: each for each in found}


def _parse(line: bytes, place: str) -> VerdictLine:
    """Return the verdict of a line; raises CommandError."""
    try:
        # Not by msgspec alone: it refuses half of a surrogate pair, which a measured text can have.
        return msgspec.convert(json.loads(line.decode("utf-8")), VerdictLine)
    except (ValueError, RecursionError) as error:
        raise CommandError(f"{place}: no verdict: {error}; give a file of --verdicts") from None


def differences(old: dict[str, VerdictLine], new: dict[str, VerdictLine]) -> list[Change]:
    """Return the checks whose outcome differs, in the order of the new file, then of the old one."""
    found = []
    for name, latest in (new | {name: each for name, each in old.items() if name not in new}).items():
        before, after = old.get(name), new.get(name)
        outcomes = [each.outcome if each else None for each in (before, after)]
        if outcomes[0] != outcomes[1]:
            found.append(Change(name, latest.tier, outcomes[0], outcomes[1], after.reason if after else None))
    return found
