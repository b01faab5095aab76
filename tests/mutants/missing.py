"""The checks of recovery that have no mutant yet: missing.txt, which must shrink.

`make docs` removes the checks that have a mutant now. A new check without a mutant is added here by hand.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from lumen_conformance.cli.list_checks import read
from tests.fixtures.scenario_run import is_any
from tests.mutants.mutants import MUTANTS, WITHOUT_MUTANT

FILE: Final = Path(__file__).with_suffix(".txt")


def listed() -> list[str]:
    """The checks of the file."""
    return FILE.read_text("utf-8").split()


def missing() -> set[str]:
    """The checks that no mutant fails, but those that no mutant can fail."""
    failed = {name for mutant in MUTANTS.values() for name in mutant.fails}
    checks = {check["id"] for check in read() if check["suite"] == "recovery"}
    return {check for check in checks if not is_any(check, failed)} - WITHOUT_MUTANT.keys()


def main() -> None:
    """Remove what has a mutant, or is no check."""
    found = missing()
    FILE.write_text("".join(f"{check}\n" for check in listed() if check in found), "utf-8", newline="\n")


if __name__ == "__main__":
    main()
