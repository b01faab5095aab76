"""The checks that are no judges, as a table for the docs: one line a test function, its ids, and what it claims."""

from __future__ import annotations

from collections import defaultdict
from itertools import takewhile

import pytest

from tests.fixtures.report.checks import check_of, claim_of
from tests.fixtures.targets import ROOT
from tests.matrix.judging import function_of
from tests.matrix.running import contract

FEW = 3  # more ids than these are told by what they have in common


def rows_table() -> str:
    """Each test function of the contract whose checks are not those of judges, in Markdown."""
    found: dict[tuple[str, str], dict[str, pytest.Function]] = defaultdict(dict)
    for test in (*contract("lumen").tests, *contract("openai").tests):
        if not {"judge", "comparison"} & set(test.item.callspec.params):
            found[test.item.path.relative_to(ROOT).as_posix(), function_of(test)][test.check] = test.item
    head = ["| checks | tier | profile | claim | where |", "|---|---|---|---|---|"]
    return "\n".join([*head, *(_row(place[0], found[place]) for place in sorted(found))])


def _row(path: str, rows: dict[str, pytest.Function]) -> str:
    item = next(iter(rows.values()))
    check = check_of(item)
    assert check
    profiles = {mark.args[0] for each in rows.values() for mark in each.iter_markers("profile")}
    everywhere = any(not list(each.iter_markers("profile")) for each in rows.values())
    profile = "any" if everywhere else ", ".join(sorted(profiles))
    return f"| {_ids(sorted(rows))} | {check.tier} | {profile} | {claim_of(item.function).rstrip('.')} | {path} |"


def _ids(ids: list[str]) -> str:
    if len(ids) <= FEW:
        return ", ".join(ids)
    alike = "".join(one[0] for one in takewhile(lambda each: len(set(each)) == 1, zip(*ids, strict=False)))
    return f"{alike[: max(alike.rfind('.'), alike.rfind('-')) + 1]}… ({len(ids)})"
