"""Markup of the page: templates that escape, fed with results."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import jinja2
import pytest

from lumen_conformance.registry.measurement import EXCHANGE
from lumen_conformance.registry.redaction import redactor
from lumen_conformance.registry.visible_text import visible
from lumen_conformance.report import korean
from lumen_conformance.report.causes import Cause, causes_of
from lumen_conformance.report.figures import format_figure, format_seconds
from lumen_conformance.report.history import history_of, points
from lumen_conformance.report.layers import layer_results
from lumen_conformance.report.log_excerpts import LogExcerpt, read_logs
from lumen_conformance.report.page_data import NEVER_RAN, PageData
from lumen_conformance.report.result_groups import ResultGroup, group_results, share_of_budget
from lumen_conformance.report.results import RESULTS, Result, Results, counts, properties
from lumen_conformance.report.run_result import RunResult, count_sentence, summarize_run
from lumen_conformance.report.selection import describe
from lumen_conformance.report.timeline import Timeline, read_timeline
from lumen_conformance.report.under_test import describe_target, repeat_command

HEADLINE_CHARS: Final = 160  # of the name of a cause: two lines
EXAMPLE_CHARS: Final = 1_500  # of the texts of the exchange of a cause
FINDING_CHARS: Final = 400  # of an expected or found value in a cause, so that the command is on the first screen, too
LABELS: Final = {
    "failed": "failed",
    "error": "errors",
    NEVER_RAN: "never ran",
    "not_judged": "not judged",
    "baselined": "known failures",
    "warned": "warned",
    "passed": "passed",
    "skipped": "not applicable",
}
TIER_TITLES: Final = {
    "M": "M: clients break without it",
    "S": "S: OpenAI does it",
    "W": "W: advice",
}
GroupKey = tuple[str, str]  # number and name


@dataclass(frozen=True)
class Evidence:
    """What the files of a run say, by group: it is read before they are removed."""

    logs: dict[GroupKey, list[LogExcerpt]] = field(default_factory=dict)
    timelines: dict[GroupKey, list[Timeline]] = field(default_factory=dict)


_TEMPLATES: Final = Path(__file__).parent / "templates"
_ENVIRONMENT: Final = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
    lstrip_blocks=True,
)  # fmt: skip
_ENVIRONMENT.globals |= {"figure_text": format_figure, "labels": LABELS}
_ENVIRONMENT.filters |= {"seconds": format_seconds, "share": share_of_budget, "points": points}
_ICON: Final = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="8" cy="8" r="8" fill="{colour}"/>'
    '<text x="8" y="12" font-family="sans-serif" font-size="11" font-weight="700" text-anchor="middle" fill="#fff">'
    "{mark}</text></svg>"
)
_ICONS: Final = {"good": ("#24703f", "✓"), "bad": ("#b2352c", "✗"), "incomplete": ("#8a5600", "!")}


@dataclass(frozen=True)
class _Example:
    """What the first failure of a cause shows: its findings, the commands that repeat it, its exchange."""

    findings: list[tuple[str, str]]
    again: str
    curl: str
    exchange: dict[str, str]


@dataclass(frozen=True)
class _Group:
    """A group as the page shows it."""

    group: ResultGroup
    logs: list[LogExcerpt]
    timelines: list[Timeline]
    trend: list[float]

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 -- an attribute of the group
        return getattr(self.group, name)

    @property
    def counts(self) -> dict[str, int]:
        """The number of tests for each outcome, in the order of the bar."""
        return _ordered_counts(self.group.results, len(self.group.missing))

    @property
    def wrong(self) -> bool:
        """Whether the group opens by itself."""
        return bool(self.group.missing) or any(each.outcome in {"failed", "error"} for each in self.group.results)


def render_unfinished(title: str) -> str:
    """Return the page of a run that has not ended."""
    return _ENVIRONMENT.get_template("unfinished.html").render(title=title, started=_now())


def gather_evidence(results: Results) -> Evidence:
    """Return the logs and the timelines of each group that has some, each file once, secrets masked."""
    mask, found = redactor(), Evidence()
    for group in group_results(results):
        paths = list(dict.fromkeys(path for each in group.results for path in each.evidence))
        found.logs[_key(group)] = read_logs(paths, mask)
        timelines = (read_timeline(Path(path), mask) for path in paths)
        found.timelines[_key(group)] = [each for each in timelines if each]
    return found


def _key(group: ResultGroup) -> GroupKey:
    return group.number, group.name


def render_page(session: pytest.Session, title: str, evidence: Evidence, folder: Path) -> str:
    """Return the page of a run that has ended; ``folder`` is where it will be."""
    config, results = session.config, session.config.stash[RESULTS]
    causes, earlier = causes_of(results.results), history_of(session)
    groups = [
        _Group(
            each,
            evidence.logs.get(_key(each), []),
            evidence.timelines.get(_key(each), []),
            earlier.trend(each.number, each.headline.value if each.headline else None),
        )
        for each in group_results(results)
    ]
    ending = summarize_run(int(session.exitstatus), results)
    data = PageData(results, [each.group for each in groups], causes, earlier, folder)
    shown = _page_causes(causes, config)
    translations = korean.texts() | {
        each.name: korean.scenarios()[each.number] for each in groups if each.number in korean.scenarios()
    }
    return _ENVIRONMENT.get_template("page.html").render(
        title=title,
        korean=translations,
        ending=ending,
        short_counts=count_sentence(results, with_reasons=False),
        icon=_icon(ending),
        layers=layer_results(config, results),
        counts=_ordered_counts(results.results, len(results.missing)),
        facts=_run_details(config, results),
        causes=shown,
        broken=[each.nodeid for each in results.broken],
        groups=groups,
        earlier=earlier.runs,
        tiers=sorted({each.entry.tier for each in results.results}),
        areas=sorted({each.group.area for each in groups}),
        data=data.json(
            labels=LABELS, tiers=TIER_TITLES, korean=translations, causes=[each["headline"] for each in shown]
        ),
    )


def _run_details(config: pytest.Config, results: Results) -> dict[str, str]:
    return {
        "Selection": describe(config),
        "Target": describe_target(config),
        "Duration": format_seconds(results.duration_s),
        "Generated": _now(),
        "Runs on": f"Python {platform.python_version()}, {platform.system()} {platform.machine()}",
    }


def _ordered_counts(results: Sequence[Result], missing: int) -> dict[str, int]:
    counted: dict[str, int] = {str(word): number for word, number in counts(results).items()} | {NEVER_RAN: missing}
    return {word: counted[word] for word in LABELS if counted.get(word)}


def _icon(ending: RunResult) -> str:
    colour, mark = _ICONS[ending.tone]
    return _ICON.format(colour=colour, mark=mark)


def _page_causes(causes: Sequence[Cause], config: pytest.Config) -> list[dict[str, Any]]:
    """Return each cause with a name of one line and the evidence of its first failure."""
    by_name = {each.name: each for each in config.stash[RESULTS].results}
    return [_page_cause(each, by_name.get(each.checks[0]), config) for each in causes]


def _page_cause(cause: Cause, first: Result | None, config: pytest.Config) -> dict[str, Any]:
    headline = _cut(" ".join(cause.sentence.split()), HEADLINE_CHARS)
    shown = {"size": cause.size, "checks": cause.checks, "not_judged": cause.not_judged}
    return shown | {"headline": visible(headline), "example": _example(first, config) if first else None}


def _example(result: Result, config: pytest.Config) -> _Example:
    failure = result.failure
    findings = [("check", f"{result.name}: {result.entry.claim}")]
    findings += (
        [(name, text) for name in ("expected", "found", "at") if (text := getattr(failure, name))]
        if failure
        else [("reason", result.reason)]
    )
    exchanges = properties(config.stash[RESULTS].reports_of(result.entry.nodeid), EXCHANGE)
    return _Example(
        [(name, visible(_cut(text, FINDING_CHARS))) for name, text in findings],
        visible(repeat_command(config, [result.name])),
        visible(failure.curl) if failure else "",
        _exchange(exchanges[0]) if exchanges else {},
    )


def _exchange(record: Mapping[str, Any]) -> dict[str, str]:
    request = record["request"][0] if record["request"] else record["url"]
    request_body, body = _body(record, "request_body"), _body(record, "body")
    response = [*record["response"], "", body] if record["response"] else [record["error"] or record["ended"]]
    text = "\n".join([*record["request"], "", request_body, "", *response])
    return {"line": visible(f"{request} → {record['status'] or record['ended']}"), "text": visible(text)}


def _body(record: Mapping[str, Any], name: str) -> str:
    text = record[name]
    return f"{text[:EXAMPLE_CHARS]}…" if name in record["cut"] else _cut(text, EXAMPLE_CHARS)


def _cut(text: str, chars: int) -> str:
    return text if len(text) <= chars else f"{text[:chars]}…"


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
