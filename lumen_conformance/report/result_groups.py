"""Group results for the table of the page: by scenario, by area of the contract, all unit tests together."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from lumen_conformance.registry.measurement import Measurement
from lumen_conformance.report.entries import ReportEntry
from lumen_conformance.report.results import Result, Results

_ORDER: Final = ("recovery", "contract", "matrix", "unit", "")
_ONE_GROUP: Final = {"matrix": "Tests of the suite with faulty targets", "unit": "Unit tests"}
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
        """The number of tests that passed, with or without a warning."""
        return sum(each.outcome in {"passed", "warned"} for each in self.results)

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
        """The measurement of the table: the one marked as headline, else the time that is nearest to its budget."""
        figures = [figure for each in self.results for figure in each.measurements]
        marked = [figure for figure in figures if figure.headline]
        timed = [figure for figure in figures if figure.unit == "s" and figure.budget]
        return next(iter(marked), max(timed, key=share_of_budget, default=None))


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
