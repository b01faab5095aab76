"""The checks of one stage on its timeline: they name it, those that failed mark it, and their steps are shaded."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lumen_conformance.registry.measurement import STEPS
from lumen_conformance.report.results import Result, Results, properties

MOST_WORDS = 3  # of a title
StepSpan = tuple[str, float, float]
"""The name of a check that failed, begin and end of one of its steps on the clock of ``time.monotonic()``."""


@dataclass(frozen=True)
class StageChecks:
    """The names of all checks, of those that failed, and the steps of these."""

    names: Sequence[str] = ()
    failed: Sequence[str] = ()
    steps: Sequence[StepSpan] = ()

    @property
    def title(self) -> str:
        """The numbers of the checks, and the first of their words: ``8.7 to 8.10: busy, slow, suspended, …``."""
        parts = sorted({_parts(each) for each in self.names})
        words = list(dict.fromkeys(word for _, word in parts if word))
        shown = ", ".join([*words[:MOST_WORDS], *(["…"] if len(words) > MOST_WORDS else [])])
        numbers = ", ".join(_runs(list(dict.fromkeys(number for number, _ in parts))))
        return ": ".join(filter(None, [numbers, shown]))


def checks_of_stage(results: Iterable[Result], path: str, reports: Results) -> StageChecks:
    """Return the checks whose evidence is at this path."""
    own = [each for each in results if path in each.evidence and each.entry.check_id]
    failed = [each for each in own if each.refuted or each.outcome == "error"]
    steps = [
        (each.name, begin, end)
        for each in failed
        for found in properties(reports.reports_of(each.entry.nodeid), STEPS)
        for begin, end, _ in found
    ]
    return StageChecks([each.name for each in own], [each.name for each in failed], list(dict.fromkeys(steps)))


def _parts(name: str) -> tuple[tuple[int, ...], str]:
    """Return the number of a check and its words."""
    number, _, words = name.partition("-")
    return tuple(int(each) for each in re.findall(r"\d+", number)), words.replace("-", " ")


def _runs(numbers: Sequence[tuple[int, ...]]) -> list[str]:
    """Return numbers as text, with one text for those that follow each other: ``8.1 to 8.3``."""
    runs: list[list[tuple[int, ...]]] = []
    for each in numbers:
        last = runs[-1][-1] if runs else ()
        follows = bool(last) and each[:2] in {last[:2], (*last[:1], (*last, 0)[1] + 1)}
        if follows:
            runs[-1].append(each)
        else:
            runs.append([each])
    ends = [tuple(dict.fromkeys([run[0][:2], run[-1][:2]])) if len(run) > 1 else (run[0],) for run in runs]
    return [" to ".join(".".join(map(str, each)) for each in pair) for pair in ends]
