"""``lumen-conformance list``: list every check with its tier, claim and source."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lumen_conformance
from lumen_conformance.cli.errors import CommandError
from lumen_conformance.registry.old_ids import translate
from lumen_conformance.report.id_selection import is_meant

if TYPE_CHECKING:
    import argparse

CATALOGUE = Path(lumen_conformance.__file__).with_name("catalogue.json")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--json`` and the ids."""
    parser.add_argument(
        "ids", nargs="*", metavar="ID", help="list these only, with their rows; F2 means all of F2, * any text"
    )
    parser.add_argument("--json", action="store_true", help="one JSON array, each check with all that is known of it")


def main(args: argparse.Namespace) -> int:
    """Print the checks."""
    wanted = [translate(name) for name in args.ids]
    checks = [each for each in read() if not wanted or any(is_meant(_names(each), name) for name in wanted)]
    checks.sort(key=lambda each: _order(each["id"]))
    if unknown := [name for name in wanted if not any(is_meant(_names(each), name) for each in checks)]:
        patterns = " ".join(f"'{name}*'" for name in unknown)
        raise CommandError(f"no check has the id {', '.join(unknown)}; see lumen-conformance list, or try {patterns}")
    if args.json:
        json.dump(checks, sys.stdout, indent=1)
        print()
        return 0
    width = max((len(each["id"]) for each in checks), default=0)
    for each in checks:
        print(
            f"{each['id']:{width}}  {each['tier']}  {each['claim']}"
            + (f"  [{each['source']}]" if each["source"] else "")
        )
        for row in each["rows"] if wanted else ():
            print(f"{'':{width}}     {each['id']}-{row}")
    return 0


def _names(check: dict[str, Any]) -> tuple[str, ...]:
    return (check["id"], *(f"{check['id']}-{row}" for row in check["rows"]))


def _order(check_id: str) -> tuple[bool, str, list[int]]:
    """Return a sort key: contract before recovery, then the area, then the numbers by value (F2 before F10)."""
    area, number = re.match(r"([A-Z]?)([\d.]*)", check_id).groups()  # type: ignore[union-attr]  # it always matches
    return not area, area, [int(part) for part in number.split(".") if part]


def read() -> list[dict[str, Any]]:
    """Return every check of both suites, in their order."""
    found: list[dict[str, Any]] = json.loads(CATALOGUE.read_text("utf-8"))
    return found
