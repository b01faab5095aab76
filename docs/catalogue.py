"""Write lumen_conformance/catalogue.json, which `lumen-conformance list` shows; part of `make docs`.

A check has its id, tier, claim and source where it is declared, below tests/contract, tests/recovery and
lumen_conformance/checks. The other fields are joined here: the faults and mutants that must fail it
(tests/fixtures/faults and tests/mutants), and which clients break without it, as `make breaks` has measured.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from lumen_conformance.registry.declaration import Check, check_of, parameters_of
from tests.fixtures.faults.catalogue import FAULTS
from tests.fixtures.mutations import is_named
from tests.mutants.mutants import MUTANTS

if TYPE_CHECKING:
    from tests.fixtures.faults.fault import Fault

ROOT: Final = Path(__file__).resolve().parents[1]
FILE: Final = ROOT / "lumen_conformance" / "catalogue.json"
EVIDENCE: Final = ROOT / "benchmarks" / "breaks" / "tiers.json"
QUIET: Final = (
    "-Wignore::pytest.PytestAssertRewriteWarning"  # this script has imported a few modules of the suite before
)
PROFILES: Final = {
    "lumen": (),
    "openai": (
        "--proxy-command=server {port} {gateway_url}",
        "--proxy-profile=openai",
        "--proxy-can=json,tools,n,models",
    ),
}


class Collector:
    """Keeps what pytest collects."""

    def __init__(self) -> None:
        self.items: list[pytest.Item] = []

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Keep the tests."""
        self.items = list(session.items)


def collect(*options: str) -> list[pytest.Item]:
    """Return the tests of both suites that these options select. Raises RuntimeError when pytest refuses."""
    collector, output = Collector(), io.StringIO()
    arguments = ["tests/contract", "tests/recovery", "--collect-only", "-q", "-p", "no:cacheprovider", QUIET, *options]
    with contextlib.redirect_stdout(output), contextlib.chdir(ROOT):
        status = pytest.main(arguments, plugins=[collector])
    if status:
        raise RuntimeError(output.getvalue())
    return collector.items


def catalogue() -> list[dict[str, Any]]:
    """Return one entry a check, in the order of the suites."""
    found: dict[str, dict[str, Any]] = {}
    for profile, options in PROFILES.items():
        for item in collect(*options):
            if check := check_of(item):
                entry = found.setdefault(check.id, _entry(item, check))
                entry["profiles"] += [profile] if profile not in entry["profiles"] else []
                row = parameters_of(item, check)
                entry["rows"] += [row] if row and row not in entry["rows"] else []
    for entry in found.values():
        entry["faults"] = [fault.name for fault in FAULTS.values() if _is_failed_by(entry, fault)]
    return list(found.values())


def _is_failed_by(entry: dict[str, Any], fault: Fault) -> bool:
    """Return whether a fault must fail a check; a target of another profile is not run against it."""
    return fault.profile in entry["profiles"] and fault.declares(entry["id"])


def _entry(item: pytest.Item, check: Check) -> dict[str, Any]:
    evidence: dict[str, Any] = json.loads(EVIDENCE.read_text("utf-8"))
    return {
        "id": check.id,
        "tier": check.tier,
        "claim": check.claim.rstrip("."),
        "source": getattr(check, "source", ""),
        "suite": item.path.parent.name,
        "profiles": [],
        "rows": [],
        "smoke": item.get_closest_marker("smoke") is not None,
        "faults": [],
        "mutants": [
            mutant.name for mutant in MUTANTS.values() if any(is_named(check.id, each) for each in mutant.fails)
        ],
        "evidence": evidence.get(check.id, {}).get("evidence", ""),
    }


def text() -> str:
    """Return the file as it should be."""
    return "[\n" + ",\n".join(json.dumps(each, ensure_ascii=False) for each in catalogue()) + "\n]\n"


def main() -> int:
    """Write the file, or only compare it; 1 when it differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail if the file differs")
    args = parser.parse_args()
    wanted = text()
    if FILE.exists() and FILE.read_text("utf-8") == wanted:
        return 0
    if args.check:
        print("lumen_conformance/catalogue.json differs from the checks; run: make docs", file=sys.stderr)  # noqa: T201
        return 1
    FILE.write_text(wanted, encoding="utf-8", newline="\n")
    print("wrote lumen_conformance/catalogue.json")  # noqa: T201 -- a command says what it did
    return 0


if __name__ == "__main__":
    sys.exit(main())
