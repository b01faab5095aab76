"""Markup of the page: templates that escape, fed with results."""

import platform
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import jinja2
import pytest
from markupsafe import escape

from lumen_conformance.registry.measurement import Measurement
from lumen_conformance.registry.redaction import redactor
from lumen_conformance.report.causes import Cause
from lumen_conformance.report.entries import ReportEntry
from lumen_conformance.report.log_excerpts import LogExcerpt, read_logs
from lumen_conformance.report.result_groups import ResultGroup, group_results, share_of_budget
from lumen_conformance.report.results import OUTCOMES, RESULTS, Results, counts
from lumen_conformance.report.run_result import summarize_run
from lumen_conformance.report.selection import describe

# What is under test; whoever launches it may set the words.
TARGET: Final = pytest.StashKey[str]()
OUR_PROXY: Final = "lumen-proxy of this repository"

Logs = list[tuple[ResultGroup, list[LogExcerpt]]]

_TEMPLATES: Final = Path(__file__).parent / "templates"
_ENVIRONMENT: Final = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
)

# The second column is never shown: pytest-html names its rows by it.
HEADER: Final = [
    '<th class="sortable" data-column-type="result">Result</th>',
    '<th class="col-testId" hidden>Test</th>',
    '<th class="sortable" data-column-type="check">Check</th>',
    "<th>Claim</th>",
    '<th class="sortable" data-column-type="measured">Measured</th>',
    '<th class="sortable" data-column-type="time">Time</th>',
]


def format_seconds(value_s: float) -> str:
    """Return a time that a person can read: 12 ms, 3.4 s, 2 min 05 s."""
    if (milliseconds := round(value_s * 1000)) < 1000:
        return f"{milliseconds} ms"
    if (tenths := round(value_s * 10)) < 600:
        return f"{tenths / 10} s"
    return "{} min {:02} s".format(*divmod(round(value_s), 60))


def format_number(value: float) -> str:
    """Return a figure with three digits that count, whole numbers as they are."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def format_figure(value: float, unit: str) -> str:
    """Return a figure with its unit; times below a tenth of a second in milliseconds."""
    return f"{format_number(value * 1000)} ms" if unit == "s" and 0 < value < 0.1 else f"{format_number(value)} {unit}"


_ENVIRONMENT.globals["figure_text"] = format_figure
_ENVIRONMENT.filters |= {"seconds": format_seconds, "share": share_of_budget}


def escaped(text: str) -> str:
    """Return the text as markup that shows it."""
    return str(escape(text))


def render_unfinished(title: str) -> str:
    """Return the page of a run that has not ended."""
    return _render("unfinished.html", title=title, started=_now())


def render_above(session: pytest.Session, layers: Mapping[str, str], causes: Sequence[Cause]) -> str:
    """Return the verdict, its facts, the causes of what failed and the table of groups."""
    results = session.config.stash[RESULTS]
    ended = results.results
    count = counts(ended)
    return _render(
        "before.html",
        ending=summarize_run(int(session.exitstatus), results),
        counts=[(word, count[word]) for word in OUTCOMES if count[word]],
        facts={
            "Selection": describe(session.config),
            "Target": _target(session.config),
            "Duration": format_seconds(results.duration_s),
            "Generated": _now(),
            "Runs on": f"Python {platform.python_version()}, {platform.system()} {platform.machine()}",
        },
        layers=layers,
        causes=causes,
        groups=group_results(results),
        wrong=[each for each in ended if each.outcome in {"failed", "error"}],
        broken=[each.nodeid for each in results.broken],
    )


def _target(config: pytest.Config) -> str:
    mutation = config.getoption("mutation", None)
    name = redactor().text(config.stash.get(TARGET, OUR_PROXY))
    return f"{name}, with the mutation {mutation}" if mutation else name


def gather_logs(results: Results) -> Logs:
    """Return the logs of each group that has some, each file once, secrets masked."""
    mask = redactor()
    groups = [
        (group, read_logs((path for each in group.results for path in each.evidence), mask))
        for group in group_results(results)
    ]
    return [(group, logs) for group, logs in groups if logs]


def render_below(logs: Logs) -> str:
    """Return the logs, folded."""
    return _render("after.html", groups=logs)


def render_row(
    entry: ReportEntry, *, duration_s: float, figures: Sequence[Measurement], warnings: Sequence[str]
) -> list[str]:
    """Return the cells of one test after the first, each in one line: pytest-html reads them by a regular expression.

    A cell that can be sorted begins with a comment, as pytest-html sorts by what is between the tags.
    """
    cells = _render(
        "cells.html",
        entry=entry,
        order=_order(entry),
        figures=figures,
        nearest=f"{max(map(share_of_budget, figures), default=0):012.6f}",
        warnings=warnings,
        duration_s=duration_s,
    )
    return [" ".join(cell.split()) for cell in cells.split("<!-- cell -->")]


def _order(entry: ReportEntry) -> str:
    """Return a text that sorts as people count: 1.2 before 1.10, tests without a number last."""
    padded = re.sub(r"\d+", lambda found: found[0].zfill(5), entry.check_id)
    return re.sub(r"[^\w.]", "_", padded or f"~{entry.nodeid}")


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _render(template: str, **what: Any) -> str:  # noqa: ANN401  # whatever the template shows
    return _ENVIRONMENT.get_template(template).render(**what)
