"""The table of checks that are no judges, for the docs: a row for the checks of a function with one tier and claim."""

from __future__ import annotations

import re
from collections import defaultdict

import pytest

from lumen_conformance.registry.declaration import Check, check_of, claim_of
from tests.fixtures.check_ids import summarize_ids
from tests.fixtures.check_session import CheckItem
from tests.fixtures.repository import ROOT
from tests.matrix.contract import contract
from tests.matrix.selection import function_of

ROW = re.compile(r" \([^()]*\)")


def rows_table() -> str:
    """Each test function of the contract whose checks are no judges, in Markdown."""
    found: dict[tuple[str, ...], dict[str, pytest.Function]] = defaultdict(dict)
    for test in (*contract("lumen").tests, *contract("openai").tests):
        if not of_judge(test):
            path, check = test.item.path.relative_to(ROOT).as_posix(), check_of(test.item)
            assert check
            found[path, function_of(test), check.tier, check.source, claim_in_table(test.item, check)][test.check] = (
                test.item
            )
    head = ["| checks | tier | profile | claim | source | where |", "|---|---|---|---|---|---|"]
    return "\n".join([*head, *(_row(rows, path, *columns) for (path, _, *columns), rows in sorted(found.items()))])


def of_judge(test: CheckItem) -> bool:
    """Whether its claim is that of a judge: another table has those."""
    return bool({"judge", "comparison"} & set(test.item.callspec.params))


def claim_in_table(item: pytest.Function, declared: Check) -> str:
    """The claim of a check; without its row, where that is the only difference between the rows of its function."""
    shared = claim_of(item.function)
    parts = ((declared.claim[: found.start()], declared.claim[found.end() :]) for found in ROW.finditer(declared.claim))
    return (shared if shared in map("".join, parts) else declared.claim).rstrip(".")


def _row(rows: dict[str, pytest.Function], path: str, tier: str, source: str, claim: str) -> str:
    profiles = {mark.args[0] for each in rows.values() for mark in each.iter_markers("profile")}
    everywhere = any(not list(each.iter_markers("profile")) for each in rows.values())
    profile = "any" if everywhere else ", ".join(sorted(profiles))
    return f"| {summarize_ids(sorted(rows))} | {tier} | {profile} | {claim} | {source} | {path} |"
