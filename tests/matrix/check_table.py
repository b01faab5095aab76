"""The table of checks that are no judges, for the docs: a row for the checks of one test function and one tier."""

from __future__ import annotations

from collections import defaultdict

import pytest

from lumen_conformance.registry.declaration import check_of, claim_of
from tests.fixtures.check_ids import summarize_ids
from tests.fixtures.check_session import CheckItem
from tests.fixtures.repository import ROOT
from tests.matrix.contract import contract
from tests.matrix.selection import function_of


def rows_table() -> str:
    """Each test function of the contract whose checks are no judges, in Markdown."""
    found: dict[tuple[str, str, str, str], dict[str, pytest.Function]] = defaultdict(dict)
    for test in (*contract("lumen").tests, *contract("openai").tests):
        if not of_judge(test):
            path, check = test.item.path.relative_to(ROOT).as_posix(), check_of(test.item)
            assert check
            found[path, function_of(test), check.tier, check.source][test.check] = test.item
    head = ["| checks | tier | profile | claim | source | where |", "|---|---|---|---|---|---|"]
    return "\n".join(
        [*head, *(_row(path, tier, source, rows) for (path, _, tier, source), rows in sorted(found.items()))]
    )


def of_judge(test: CheckItem) -> bool:
    """Whether its claim is that of a judge: another table has those."""
    return bool({"judge", "comparison"} & set(test.item.callspec.params))


def _row(path: str, tier: str, source: str, rows: dict[str, pytest.Function]) -> str:
    item = next(iter(rows.values()))
    profiles = {mark.args[0] for each in rows.values() for mark in each.iter_markers("profile")}
    everywhere = any(not list(each.iter_markers("profile")) for each in rows.values())
    profile = "any" if everywhere else ", ".join(sorted(profiles))

    claim = claim_of(item.function).rstrip(".")
    return f"| {summarize_ids(sorted(rows))} | {tier} | {profile} | {claim} | {source} | {path} |"
