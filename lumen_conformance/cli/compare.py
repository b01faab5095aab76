"""``lumen-conformance compare``: compare two verdict files, for example those of two releases."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lumen_conformance.cli.errors import CommandError
from lumen_conformance.cli.exit_status import ExitStatus
from lumen_conformance.cli.output import OUTPUT_FILES
from lumen_conformance.registry.old_ids import translate
from lumen_conformance.registry.visible_text import visible
from lumen_conformance.report.known_ids import names

if TYPE_CHECKING:
    import argparse

FAILING = {"failed", "error", "baselined"}  # a warning, of tier S or W, fails no run


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
        if self.new in FAILING and self.old not in FAILING:
            return "newly failing"
        if self.new == "warned" and self.old not in FAILING:
            return "newly warned"
        return "newly passing" if self.new == "passed" and self.old is not None else "other changes"


REASONED = ("newly failing", "newly warned")
GROUPS = ("newly failing", "newly warned", "newly passing", "other changes")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the two files."""
    file = OUTPUT_FILES["verdicts"][0]
    parser.add_argument("old", metavar="OLD", help=f"{file} of the earlier run, or its output folder")
    parser.add_argument("new", metavar="NEW", help=f"{file} of the later run, or its output folder")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def main(args: argparse.Namespace) -> int:
    """Print what differs; exit status 1 when a check newly fails."""
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
    return ExitStatus.FAILED if groups["newly failing"] else ExitStatus.OK


def _print(groups: dict[str, list[Change]]) -> None:
    for name, found in groups.items():
        print(f"{name}: {len(found)}")
        for each in found:
            reason = f": {visible(each.reason)}" if name in REASONED and each.reason else ""
            print(f"  {each.id} ({each.tier})  {each.old or 'absent'} -> {each.new or 'absent'}{reason}")


def read(path: Path) -> dict[str, dict[str, Any]]:
    """Return the verdicts of a file or an output folder, by id and parameters. Raises CommandError."""
    file = path / OUTPUT_FILES["verdicts"][0] if path.is_dir() else path
    try:
        lines = [json.loads(line) for line in file.read_text("utf-8").split("\n") if line]
        found = {names(translate(each["id"]), each["param"] or "")[0]: each for each in lines}
        if not found:
            raise CommandError(f"{file} has no verdict: the run selected no check, or did not end")
        return found  # noqa: TRY300 -- the branches below are errors
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}; give a file of --verdicts") from None
    except (ValueError, LookupError, TypeError) as error:
        raise CommandError(f"{file} is no verdict file: {error!r}; give a file of --verdicts") from None


def differences(old: dict[str, dict[str, Any]], new: dict[str, dict[str, Any]]) -> list[Change]:
    """Return the checks whose outcome differs, in the order of the new file, then of the old one."""
    found = []
    for name in [*new, *(each for each in old if each not in new)]:
        before, after = old.get(name), new.get(name)
        outcomes = [each["outcome"] if each else None for each in (before, after)]
        if outcomes[0] != outcomes[1]:
            latest: dict[str, Any] = after or before or {}
            found.append(Change(name, latest["tier"], outcomes[0], outcomes[1], after["reason"] if after else None))
    return found
