"""The page docs/public-defects.md: each report, its kind, and the checks that caught it before and after."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from measurement import HERE, TIERS, Report, read_reports

PAGE = HERE.parents[1] / "docs" / "public-defects.md"
WHEN: Final = {"before": "before", "after": "after"}
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
    yield "| measured | checks | caught by M or S | by M alone | of those on the wire |"
    yield "|---|---|---|---|---|"
    visible = [report for report in reports if report.visible]
    for name in WHEN:
        if name in measured:
            measurement = measured[name]
            both = [report for report in reports if any(caught_by(report, measurement).values())]
            must = [report for report in reports if caught_by(report, measurement)["M"]]
            where = f"{name}: commit `{measurement['commit']}`, {measurement['day']}"
            cells = [_of(both, reports), _of(must, reports), _of([each for each in both if each.visible], visible)]
            yield f"| {where} | {measurement['checks']} | {' | '.join(cells)} |"


def _of(some: list[Report], every: list[Report]) -> str:
    return f"{len(some)} of {len(every)} ({100 * len(some) / len(every):.0f} %)"


def _table(reports: list[Report], measured: Measured) -> Iterator[str]:
    names = [name for name in WHEN if name in measured]
    yield "\n## The reports\n"
    yield f"| report | product | defect on the wire | kind | {' | '.join(f'caught by, {name}' for name in names)} |"
    yield f"|---|---|---|---|{'---|' * len(names)}"
    for report in reports:
        cells = [_cell(report, measured[name]) for name in names]
        what = report.what if report.visible else f"Not on the wire: {report.what}"
        link = f"[{report.report}]({report.url})"
        yield f"| {link} | {report.product} | {_escaped(what)} | {report.kind} | {' | '.join(cells)} |"


def _cell(report: Report, measurement: Measured) -> str:
    if report.report not in measurement["failed"]:
        return "not measured"
    found = [f"{check} ({tier})" for tier, checks in caught_by(report, measurement).items() for check in checks]
    more = f", and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return ", ".join(found[:SHOWN]) + more if found else "no check"


def _uncaught(reports: list[Report], measured: Measured) -> Iterator[str]:
    last = measured[[name for name in WHEN if name in measured][-1]]
    left = [report for report in reports if not any(caught_by(report, last).values())]
    yield "\n## Not caught\n"
    if not left:
        yield "Nothing."
    yield from (f"- {report.report}: {report.missed or 'unknown why'}" for report in left)


def _assumed(reports: list[Report]) -> Iterator[str]:
    yield "\n## What was filled in\n"
    yield "The text of a report leaves this open:\n"
    yield from (f"- {report.report}: {report.assumed}" for report in reports if report.assumed)


def _evidence(reports: list[Report], measured: Measured) -> Iterator[str]:
    name = [name for name in WHEN if name in measured][-1]
    yield f"\n## Why they failed, {name}\n"
    yield "The failure of one check for each report.\n"
    yield "| report | check | failure |"
    yield "|---|---|---|"
    for report in reports:
        for check, text in measured[name]["failed"].get(report.report, {}).get("text", {}).items():
            yield f"| {report.report} | {check} | `{_escaped(text).replace('`', chr(39))}` |"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
