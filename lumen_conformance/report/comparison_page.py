"""The page of ``lumen-conformance compare --html``: what changed between two runs, by cause, with what both observed.

A run that is given as an output folder has a record, with its exchanges and the fields that its checks have read. One
that is given as a file of verdicts has what its checks expected and found.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from markupsafe import Markup

from lumen_conformance.registry.measurement import EXCHANGE, OBSERVED
from lumen_conformance.registry.old_ids import translate
from lumen_conformance.registry.redaction import redactor
from lumen_conformance.registry.refutation import FAILURE
from lumen_conformance.report import korean
from lumen_conformance.report.compared_run import ComparedRun
from lumen_conformance.report.comparison import (
    FAILING,
    JUDGED,
    NOT_JUDGED,
    Change,
    VerdictLine,
    Verdicts,
    differences,
    in_groups,
)
from lumen_conformance.report.figures import format_figure
from lumen_conformance.report.known_causes import SENTENCES
from lumen_conformance.report.page_data import LONGEST_TEXT, MOST_FIELDS, ValueTable, catalogue, linked, pack
from lumen_conformance.report.page_mask import ABSENT
from lumen_conformance.report.rendering import LABELS, TIER_TITLES, headline, icon, make_example, now, render
from lumen_conformance.report.run_result import INCOMPLETE, Phrase, RunResult
from lumen_conformance.schemas.descriptions import format_value

TITLE: Final = "Comparison of two runs"
STILL: Final = "failing in both"
OUTCOMES: Final = LABELS | {ABSENT: "absent"}
TONES: Final = {  # the outcome that has the colour of a group
    "newly failing": "failed",
    NOT_JUDGED: "not_judged",
    JUDGED: "failed",
    "newly warned": "warned",
    "newly passing": "passed",
    "newly absent": "skipped",
    "newly present": "skipped",
    "other changes": "warned",
    STILL: "failed",
}


@dataclass
class _ChangeGroup:
    """A group of the page; ``counts`` are of the outcomes of the new run."""

    name: str
    changes: list[Change]
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def tone(self) -> str:
        """The outcome that has the colour of the group."""
        return TONES[self.name]

    @property
    def is_open(self) -> bool:
        """Whether the group opens by itself."""
        return self.name in {"newly failing", NOT_JUDGED, JUDGED}


def write_page(path: Path, runs: Sequence[ComparedRun]) -> None:
    """Write the page; raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render_comparison(path.parent, *runs), "utf-8", "backslashreplace")


def render_comparison(folder: Path, old: ComparedRun, new: ComparedRun) -> str:
    """Return the page; ``folder`` is where it will be."""
    changes = differences(old.verdicts, new.verdicts)
    found = in_groups(changes) | {STILL: _still_failing(old.verdicts, new.verdicts)}
    groups = [_ChangeGroup(name, each, _ordered(each)) for name, each in found.items() if each]
    causes = _causes(found["newly failing"], old, new)
    both = len(new.verdicts.keys() & old.verdicts.keys())
    unchanged = both - sum(bool(each.old and each.new) for each in changes) - len(found[STILL])
    result = summarize(found, changes, unchanged, new)
    texts = korean.texts()
    shown = [change for group in groups for change in group.changes]
    return render(
        "comparison.html", title=TITLE, korean=texts, ending=result, icon=icon(result.tone),
        details={"Before": old.describe(), "After": new.describe(), "Generated": now()},
        incomplete="" if new.ending.is_complete else new.ending.describe(),
        labels=OUTCOMES, counts=_ordered(shown), unchanged=unchanged, groups=groups, causes=causes,
        tiers=sorted({each.tier for each in shown}), areas=[],
        data=_Entries((old, new), groups, causes, folder).packed(texts),
    )  # fmt: skip


def summarize(found: dict[str, list[Change]], changes: Iterable[Change], unchanged: int, new: ComparedRun) -> RunResult:
    """Return the result of the comparison: bad or incomplete where the command fails, good only if the new run is."""
    numbers = {name: len(each) for name, each in found.items() if each} | {"otherwise unchanged": unchanged}
    phrases = tuple(Phrase(f"{{}} {name}", (number,)) for name, number in numbers.items())
    if any(each.fails for each in changes):
        return RunResult("bad", "WORSE", phrases)
    if not new.ending.is_complete:
        return RunResult("incomplete", INCOMPLETE, phrases)
    return RunResult("incomplete" if new.fails else "good", "NOT WORSE" if changes else "NO CHANGE", phrases)


def _still_failing(old: Verdicts, new: Verdicts) -> list[Change]:
    both = ((name, old[name], each) for name, each in new.items() if name in old)
    return [
        Change(name, each.tier, before.outcome, each.outcome, each.reason)
        for name, before, each in both
        if each.outcome in FAILING and before.outcome == each.outcome
    ]


def _ordered(changes: Sequence[Change]) -> dict[str, int]:
    counted = Counter(each.new or ABSENT for each in changes)
    return {word: counted[word] for word in OUTCOMES if counted[word]}


def _causes(failing: Sequence[Change], old: ComparedRun, new: ComparedRun) -> list[dict[str, Any]]:
    """Return the causes of new failures, the largest first, each with what both runs observed of its first check."""
    by_cause: dict[str, list[Change]] = {}
    for each in failing:
        by_cause.setdefault(_cause_of(new.verdicts[each.id]), []).append(each)
    ordered = sorted(by_cause.items(), key=lambda each: (-len(each[1]), each[0]))
    return [_cause(name, group, old, new) for name, group in ordered]


def _cause_of(verdict: VerdictLine) -> str:
    return verdict.cause or verdict.reason or verdict.name


def _cause(name: str, group: Sequence[Change], old: ComparedRun, new: ComparedRun) -> dict[str, Any]:
    first = group[0].id
    before, after = old.verdicts.get(first), new.verdicts[first]
    findings = [
        ("check", f"{first}: {after.claim}" if after.claim else first), ("before", _describe(before)),
        ("expected", after.expected or ""), ("found", after.found or after.reason or ""), ("at", after.at or ""),
    ]  # fmt: skip
    exchange = new.first(first, EXCHANGE, None)
    failure = new.first(first, FAILURE, {})
    return {
        "name": name,
        "headline": headline(SENTENCES.get(name, name)),
        "numbers": {"{} failed": len(group)},
        "checks": [each.id for each in group],
        "not_judged": [],
        "example": make_example(findings, "", str(failure.get("curl", "")), exchange),
    }


def _describe(verdict: VerdictLine | None) -> str:
    """Return an outcome with what was found."""
    if verdict is None:
        return ABSENT
    found = verdict.found or verdict.reason
    return f"{OUTCOMES.get(verdict.outcome, verdict.outcome)}{f': {found}' if found else ''}"


class _Entries:
    """The data of the page: see `page_data`. ``sides`` has what each run observed; ``was`` is the earlier outcome."""

    def __init__(
        self,
        runs: Sequence[ComparedRun],
        groups: Sequence[_ChangeGroup],
        causes: Sequence[dict[str, Any]],
        folder: Path,
    ) -> None:
        self._runs, self._folder = runs, folder
        self._claims, self._exchanges = ValueTable(), ValueTable()
        self._causes = [each["headline"] for each in causes]
        self._cause_numbers = {name: place for place, cause in enumerate(causes) for name in cause["checks"]}
        self._checks = [self._entry(each, place) for place, group in enumerate(groups) for each in group.changes]

    def packed(self, texts: dict[str, str]) -> Markup:
        """Return the data as JSON, compressed, in base64."""
        return pack(
            {
                "labels": OUTCOMES, "tiers": TIER_TITLES, "korean": texts, "causes": self._causes, "modules": [],
                "claims": self._claims.values, "checks": self._checks,
                "exchanges": linked(self._exchanges, self._folder),
            },
            redactor(),
        )  # fmt: skip

    def _entry(self, change: Change, group: int) -> dict[str, Any]:
        verdicts = [run.verdicts.get(change.id) for run in self._runs]
        check_id = next(translate(each.id) for each in reversed(verdicts) if each)
        claim = next((each.claim for each in reversed(verdicts) if each and each.claim), "")
        known = catalogue().get(check_id, {})
        entry = {
            "i": change.id, "g": group, "o": change.new or ABSENT, "was": change.old or ABSENT,
            "c": self._claims.number(claim or change.id), "kc": korean.claims().get(check_id, ""),
            "t": "" if change.tier == "M" else change.tier,
            "r": {"source": known.get("source", ""), "breaks": known.get("evidence", "")},
            "sides": [each and self._side(run, each) for run, each in zip(self._runs, verdicts, strict=True)],
        }  # fmt: skip
        if change.id in self._cause_numbers:
            entry["a"] = self._cause_numbers[change.id]
        return {key: value for key, value in entry.items() if value != ""}

    def _side(self, run: ComparedRun, verdict: VerdictLine) -> dict[str, Any]:
        """What one run observed."""
        failure = run.first(verdict.name, FAILURE, {})
        observed = run.first(verdict.name, OBSERVED, [])
        texts = {name: getattr(verdict, name) or "" for name in ("expected", "found", "at", "reason")}
        details = {name: text[:LONGEST_TEXT] for name, text in texts.items()}
        details |= {name: failure.get(name, "") for name in ("dump", "excerpt", "curl")}
        details |= {"reason_ko": korean.of_reason(texts["reason"])}
        details |= {"observed": [[path, format_value(value)] for path, value in observed[:MOST_FIELDS]]}
        exchanges = run.recorded(verdict.name, EXCHANGE)
        return {
            "o": verdict.outcome,
            "f": [_figure(verdict.measurement)] if verdict.measurement else [],
            "r": {key: value for key, value in details.items() if value},
            "x": [self._exchanges.number(json.dumps(each)) for each in exchanges],
        }


def _figure(measurement: dict[str, Any]) -> list[Any]:
    value, budget, unit = (measurement.get(name) for name in ("value", "budget", "unit"))
    if not isinstance(value, int | float):
        return [str(value), None, 0, ""]
    shown = format_figure(budget, str(unit)) if isinstance(budget, int | float) else None
    return [format_figure(value, str(unit)), shown, round(value / budget, 3) if shown and budget else 0, ""]
