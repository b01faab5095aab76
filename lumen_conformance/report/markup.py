"""Markup of the page: templates that escape, fed with results."""

import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lumen_conformance.registry.measurement import EXCHANGE
from lumen_conformance.registry.redaction import redactor
from lumen_conformance.report import korean
from lumen_conformance.report.causes import Cause, causes_of, unjudged_without_cause
from lumen_conformance.report.exchange_evidence import remark_on_curl
from lumen_conformance.report.figures import format_seconds
from lumen_conformance.report.history import history_of
from lumen_conformance.report.layers import MEANINGS, layer_results
from lumen_conformance.report.log_excerpts import LogExcerpt, read_logs
from lumen_conformance.report.page_data import PageData, catalogue
from lumen_conformance.report.rendering import (
    LABELS,
    TIER_TITLES,
    UNCOLLECTED,
    CauseExample,
    headline,
    icon,
    make_example,
    now,
    render,
)
from lumen_conformance.report.result_groups import ResultGroup, group_results
from lumen_conformance.report.results import NEVER_RAN, RESULTS, Result, Results, counts, properties
from lumen_conformance.report.run_result import skip_reasons, spell, summarize_run
from lumen_conformance.report.selection import describe
from lumen_conformance.report.stage_checks import checks_of_stage
from lumen_conformance.report.timeline import Timeline, read_timeline
from lumen_conformance.report.under_test import describe_target, repeat_command

GroupKey = tuple[str, str]  # number and name
MOST_REASONS, REASON_CHARS = 100, 1_000  # of the list of all reasons; the sentence has three short ones


@dataclass(frozen=True)
class Evidence:
    """What the files of a run say, the logs by the path of evidence: it is read before they are removed."""

    logs: dict[str, list[LogExcerpt]] = field(default_factory=dict)
    timelines: dict[GroupKey, list[Timeline]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Group:
    """A group as the page shows it; ``unjudged`` has the names of what fails the run because it was not judged."""

    group: ResultGroup
    timelines: list[Timeline]
    trend: list[float]
    unjudged: frozenset[str]

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 -- an attribute of the group
        return getattr(self.group, name)

    @property
    def counts(self) -> dict[str, int]:
        """The number of tests for each outcome, in the order of the bar."""
        return _ordered_counts(self.group.results, len(self.group.missing))

    @property
    def wrong(self) -> bool:
        """Whether the group opens by itself."""
        ended = self.group.results
        wrong = any(each.outcome in {"failed", "error"} or each.name in self.unjudged for each in ended)
        return wrong or bool(self.group.missing)


def render_unfinished(title: str) -> str:
    """Return the page of a run that has not ended."""
    return render("unfinished.html", title=title, started=now(), icon=icon("incomplete"))


def gather_evidence(results: Results) -> Evidence:
    """Return the logs of each path of evidence, and the timelines of each group, secrets masked."""
    mask, found = redactor(), Evidence()
    for group in group_results(results):
        paths = list(dict.fromkeys(path for each in group.results for path in each.evidence))
        found.logs.update({path: read_logs([path], mask) for path in paths if path not in found.logs})
        checks = [checks_of_stage(group.results, path, results) for path in paths]
        timelines = (read_timeline(Path(path), mask, own) for path, own in zip(paths, checks, strict=True))
        found.timelines[_key(group)] = sorted((each for each in timelines if each), key=lambda each: not each.failed)
    return found


def _key(group: ResultGroup) -> GroupKey:
    return group.number, group.name


def render_page(session: pytest.Session, title: str, evidence: Evidence, folder: Path) -> str:
    """Return the page of a run that has ended; ``folder`` is where it will be."""
    config, results = session.config, session.config.stash[RESULTS]
    causes, earlier = causes_of(results.results), history_of(session)
    unjudged = frozenset(each.name for each in results.unjudged)
    groups = [
        _Group(
            each,
            evidence.timelines.get(_key(each), []),
            earlier.trend(each.number, each.headline),
            unjudged,
        )
        for each in group_results(results)
    ]
    ending = summarize_run(int(session.exitstatus), results)
    data = PageData(results, [each.group for each in groups], causes, earlier, logs=evidence.logs, folder=folder)
    shown = _page_causes(causes, config)
    numbers = _ordered_counts(results.results, len(results.missing))
    translations = korean.texts() | {
        each.name: korean.scenarios()[each.number] for each in groups if each.number in korean.scenarios()
    }
    return render(
        "page.html",
        title=title,
        korean=translations,
        ending=ending,
        korean_sentence=korean.sentence(ending),
        icon=icon(ending.tone),
        layers=layer_results(config, results),
        layer_meanings=MEANINGS,
        reasons=_reasons(results),
        advice=sum(each.outcome == "warned" and not each.reported for each in results.results),
        counts=numbers,
        banner_counts=_ordered_counts(results.results, len(results.missing), len(results.broken)),
        details=_run_details(config, results),
        causes=shown,
        unjudged=unjudged_without_cause(results, causes),
        broken=[each.nodeid for each in results.broken],
        groups=groups,
        earlier=earlier.runs,
        durations=earlier.durations(results.duration_s),
        tiers=sorted({each.entry.tier for each in results.results}),
        areas=sorted({each.group.area for each in groups}),
        data=data.packed(
            labels=LABELS, tiers=TIER_TITLES, korean=translations, causes=[each["headline"] for each in shown]
        ),
    )


def _run_details(config: pytest.Config, results: Results) -> dict[str, str]:
    return {
        "Selection": describe(config),
        "Target": describe_target(config),
        "Duration": format_seconds(results.duration_s),
        "Generated": now(),
        "Runs on": f"Python {platform.python_version()}, {platform.system()} {platform.machine()}",
    }


def _reasons(results: Results) -> list[tuple[int, str, str]]:
    """Return how many checks did not apply and why, each reason in English and Korean."""
    found = skip_reasons(results.results, MOST_REASONS)
    return [
        (number, spell(reason, REASON_CHARS), korean.of_reason(reason) or spell(reason, REASON_CHARS))
        for number, reason in found
    ]


def _ordered_counts(results: Sequence[Result], missing: int, broken: int = 0) -> dict[str, int]:
    counted: dict[str, int] = {str(word): number for word, number in counts(results).items()}
    counted |= {NEVER_RAN: missing, UNCOLLECTED: broken}
    return {word: counted[word] for word in LABELS if counted.get(word)}


def first_evidence(evidence: str) -> str:
    """Return the first client of the catalogue that breaks, or what is harmed; the details of a check have all."""
    return re.sub(r"^(recorded|client: [\w-]+): ", "", evidence).partition("; ")[0]


def _page_causes(causes: Sequence[Cause], config: pytest.Config) -> list[dict[str, Any]]:
    """Return each cause with a name of one line and the evidence of its first failure."""
    by_name = {each.name: each for each in config.stash[RESULTS].results}
    return [_page_cause(each, by_name.get(each.checks[0]), config) for each in causes]


def _page_cause(cause: Cause, first: Result | None, config: pytest.Config) -> dict[str, Any]:
    shown = {"numbers": cause.numbers, "checks": cause.checks, "not_judged": cause.not_judged}
    return shown | {"headline": headline(cause.sentence), "example": _example(first, config) if first else None}


def _example(result: Result, config: pytest.Config) -> CauseExample:
    failure = result.failure
    findings = [("check", f"{result.name}: {result.entry.claim}")]
    findings += (
        [(name, getattr(failure, name)) for name in ("expected", "found", "at")]
        if failure
        else [("reason", result.reason)]
    )
    findings.append(
        ("affected clients", first_evidence(catalogue().get(result.entry.plain_id, {}).get("evidence", "")))
    )
    exchanges = properties(config.stash[RESULTS].reports_of(result.entry.nodeid), EXCHANGE)
    again = repeat_command(config, [result.entry])
    curl, at = (failure.curl, failure.at) if failure else ("", "")
    remark = remark_on_curl(result.entry, exchanges) if curl else ""
    return make_example(findings, again, curl, exchanges[0] if exchanges else None, at=at, remark=remark)
