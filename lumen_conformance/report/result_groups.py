"""Group results for the table of the page: by scenario, by area of the contract, all unit tests together."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from lumen_conformance.registry.measurement import Measurement
from lumen_conformance.report.entries import ReportEntry
from lumen_conformance.report.results import Result, Results

_ORDER: Final = ("recovery", "contract", "matrix", "unit", "")
_ONE_GROUP: Final = {"matrix": "Tests of the suite with faulty targets", "unit": "Unit tests"}
_WITHOUT_EVERY_FIGURE: Final = frozenset({"failed", "error", "not_judged"})
_SCENARIO_PREFIX: Final = re.compile(r"scenario \d+:\s*", re.IGNORECASE)


@dataclass(frozen=True)
class ResultGroup:
    """The results of a scenario or an area; ``number`` is that of the scenario, else empty."""

    number: str
    name: str
    results: tuple[Result, ...]
    missing: tuple[ReportEntry, ...]

    @property
    def area(self) -> str:
        """The folder of its tests."""
        entries = (*(each.entry for each in self.results), *self.missing)
        return next((each.area for each in entries), "")

    @property
    def passed(self) -> int:
        """The number of tests that passed without a warning."""
        return sum(each.outcome == "passed" for each in self.results)

    @property
    def warned(self) -> int:
        """The number of tests that warned, also of those whose claim of tier S or W does not hold."""
        return sum(each.outcome == "warned" for each in self.results)

    @property
    def total(self) -> int:
        """The number of selected tests, without skipped ones."""
        return len(self.missing) + sum(each.outcome != "skipped" for each in self.results)

    @property
    def duration_s(self) -> float:
        """The sum of the durations of the tests."""
        return sum(each.duration_s for each in self.results)

    @property
    def headline(self) -> Measurement | None:
        """The measurement of the table: the one marked as headline, else the time that is nearest to its budget.

        The latter has the id of its check as its label if it has none. Where a test failed or was not judged, the
        marked figure may be missing, and another one would look like it.
        """
        figures = [(each.name, figure) for each in self.results for figure in each.measurements]
        marked = [figure for _, figure in figures if figure.headline]
        if marked or self.missing or any(each.outcome in _WITHOUT_EVERY_FIGURE for each in self.results):
            return next(iter(marked), None)
        timed = [replace(each, label=each.label or name) for name, each in figures if each.unit == "s" and each.budget]
        return max(timed, key=share_of_budget, default=None)


def share_of_budget(figure: Measurement) -> float:
    """Return value / budget; 0 without a budget."""
    return figure.value / figure.budget if figure.budget else 0.0


def group_results(results: Results) -> list[ResultGroup]:
    """Return the groups of a run, scenarios first."""
    missing = results.missing
    ended = results.results
    keys = sorted({_key(entry) for entry in (*missing, *(each.entry for each in ended))})
    return [_group(key, ended, missing) for key in keys]


_Key = tuple[int, int, str]


def _key(entry: ReportEntry) -> _Key:
    return _ORDER.index(entry.area) if entry.area in _ORDER else len(_ORDER), entry.scenario, _name(entry)


def _name(entry: ReportEntry) -> str:
    return _ONE_GROUP.get(entry.area) or _SCENARIO_PREFIX.sub("", entry.group)


def _group(key: _Key, ended: Iterable[Result], missing: Iterable[ReportEntry]) -> ResultGroup:
    _, scenario, name = key
    return ResultGroup(
        number=str(scenario or ""),
        name=name[:1].upper() + name[1:],
        results=tuple(each for each in ended if _key(each.entry) == key),
        missing=tuple(each for each in missing if _key(each) == key),
    )
