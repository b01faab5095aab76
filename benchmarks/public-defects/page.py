"""The page docs/public-defects.md: each report, its kind, and the checks that caught it before and after."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from itertools import chain
from typing import Any, Final

from measurement import HERE, TIERS, Report, read_reports

from tests.matrix.contract import contract

PAGE = HERE.parents[1] / "docs" / "public-defects.md"
AFTER: Final = "after"
BEFORE: Final = {1: "before", 2: "before", 3: "before the third"}  # series → the measurement before it was worked on
SERIES: Final = {1: "first", 2: "second", 3: "third"}
SHOWN = 3  # checks of one report
Measured = dict[str, Any]


def write() -> None:
    """Write the page from what is kept."""
    measured = json.loads((HERE / "measured.json").read_text("utf-8"))
    reports = read_reports()
    lines = [(HERE / "head.md").read_text("utf-8"), *_shares(reports, measured), *_table(reports, measured)]
    lines += [*_uncaught(reports, measured), *_assumed(reports), *_evidence(reports, measured)]
    PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def caught_by(report: Report, measurement: Measured) -> dict[str, list[str]]:
    """The failed checks of each tier that are of the kind of the report."""
    failed = measurement["failed"].get(report.report, {})
    return {tier: report.of_kind(failed.get(tier, "").split()) for tier in TIERS}


def _shares(reports: list[Report], measured: Measured) -> Iterator[str]:
    yield "## The share\n"
    yield "| reports | measured | checks | caught by M or S | by M alone | of those on the wire | without a gateway |"
    yield "|---|---|---|---|---|---|---|"
    sets = {f"the {name} {len(own)}": own for number, name in SERIES.items() if (own := _of_series(reports, number))}
    for name, own in sets.items():
        yield from _share(name, "before", own, measured[BEFORE[own[0].series]])
        yield from _share(name, AFTER, own, measured[AFTER])
    yield from _share(f"all {len(reports)}", AFTER, reports, measured[AFTER])


def _of_series(reports: list[Report], number: int) -> list[Report]:
    return [report for report in reports if report.series == number]


def _share(name: str, when: str, reports: list[Report], measurement: Measured) -> Iterator[str]:
    """A row, unless one of these reports was not measured."""
    if not all(_is_measured(report, measurement) for report in reports):
        return
    both = [report for report in reports if any(caught_by(report, measurement).values())]
    must = [report for report in reports if caught_by(report, measurement)["M"]]
    visible = [report for report in reports if report.visible]
    where = f"{when}: commit `{measurement['commit']}`, {measurement['day']}"
    alone = [report for report in both if any(map(_needs_no_gateway, chain(*caught_by(report, measurement).values())))]
    seen = [report for report in both if report.visible]
    cells = [_of(both, reports), _of(must, reports), _of(seen, visible), _of(alone, reports)]
    yield f"| {name} | {where} | {measurement['checks']} | {' | '.join(cells)} |"


@cache
def _checks_of_gateways() -> frozenset[str]:
    """The checks that need the scripted gateway in all their tests."""
    tests = contract("openai").tests
    free = {test.check for test in tests if not any("gateway" in each.args for each in test.item.iter_markers("needs"))}
    return frozenset(test.check for test in tests) - free


def _needs_no_gateway(check: str) -> bool:
    return check not in _checks_of_gateways()


def _is_measured(report: Report, measurement: Measured) -> bool:
    return report.report in measurement["failed"]


def _of(some: list[Report], every: list[Report]) -> str:
    return f"{len(some)} of {len(every)} ({100 * len(some) / len(every):.0f} %)"


def _table(reports: list[Report], measured: Measured) -> Iterator[str]:
    yield "\n## The reports\n"
    yield "| report | product | defect on the wire | kind | caught by, before | caught by, after |"
    yield "|---|---|---|---|---|---|"
    for report in reports:
        cells = [_cell(report, measured[name]) for name in (BEFORE[report.series], AFTER)]
        what = report.what if report.visible else f"Not on the wire: {report.what}"
        link = f"[{report.report}]({report.url})"
        yield f"| {link} | {report.product} | {_escaped(what)} | {report.kind} | {' | '.join(cells)} |"


def _cell(report: Report, measurement: Measured) -> str:
    if not _is_measured(report, measurement):
        return "not measured"
    found = [f"{check} ({tier})" for tier, checks in caught_by(report, measurement).items() for check in checks]
    more = f", and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return ", ".join(found[:SHOWN]) + more if found else "no check"


def _uncaught(reports: list[Report], measured: Measured) -> Iterator[str]:
    left = [report for report in reports if not any(caught_by(report, _last(report, measured)).values())]
    yield "\n## Not caught\n"
    if not left:
        yield "Nothing."
    yield from (f"- {report.report}: {report.missed or 'unknown why'}" for report in left)


def _last(report: Report, measured: Measured) -> Measured:
    """The last measurement of a report."""
    after: Measured = measured[AFTER]
    before: Measured = measured[BEFORE[report.series]]
    return after if _is_measured(report, after) else before


def _assumed(reports: list[Report]) -> Iterator[str]:
    yield "\n## What was filled in\n"
    yield "The text of a report leaves this open:\n"
    yield from (f"- {report.report}: {report.assumed}" for report in reports if report.assumed)


def _evidence(reports: list[Report], measured: Measured) -> Iterator[str]:
    yield "\n## Why they failed\n"
    yield "The failure of one check for each report, when it was measured last.\n"
    yield "| report | check | failure |"
    yield "|---|---|---|"
    for report in reports:
        for check, text in _last(report, measured)["failed"].get(report.report, {}).get("text", {}).items():
            yield f"| {report.report} | {check} | `{_escaped(text).replace('`', chr(39))}` |"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
