"""Results told as chapters: a scenario of the recovery tests, an area of the contract, all unit tests as one."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from lumen_conformance.registry.measurement import Measurement
from lumen_conformance.report.entries import Entry
from lumen_conformance.report.results import Result, Results

MOST_DOTS: Final = 40  # two or three lines of the page

_ORDER: Final = ("recovery", "contract", "matrix", "unit", "")
_TOLD_AS_ONE: Final = {"matrix": "The suite, judged by sabotaged targets", "unit": "Pure parts, one by one"}
_SCENARIO_PREFIX: Final = re.compile(r"scenario \d+:\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Chapter:
    """What one story came to; ``number`` is the scenario's, empty elsewhere."""

    number: str
    name: str
    results: tuple[Result, ...]
    missing: tuple[Entry, ...]

    @property
    def held(self) -> int:
        """How many tests passed, with or without a warning."""
        return sum(each.outcome in {"passed", "warned"} for each in self.results)

    @property
    def total(self) -> int:
        """How many tests were selected, skipped ones left out."""
        return len(self.missing) + sum(each.outcome != "skipped" for each in self.results)

    @property
    def dots(self) -> tuple[Result, ...]:
        """The results to draw one by one: of very many only those that did not simply pass."""
        few = len(self.results) <= MOST_DOTS
        return tuple(each for each in self.results if few or each.outcome != "passed")

    @property
    def duration_s(self) -> float:
        """Seconds that its tests took, one after the other."""
        return sum(each.duration_s for each in self.results)

    @property
    def headline(self) -> Measurement | None:
        """The figure to tell first: the one marked so, else the time that came nearest to its budget."""
        figures = [figure for each in self.results for figure in each.measurements]
        marked = [figure for figure in figures if figure.headline]
        timed = [figure for figure in figures if figure.unit == "s" and figure.budget]
        return next(iter(marked), max(timed, key=share_of_budget, default=None))


def share_of_budget(figure: Measurement) -> float:
    """Return value ÷ budget; 0 without a budget."""
    return figure.value / figure.budget if figure.budget else 0.0


def chapters(results: Results) -> list[Chapter]:
    """Return the chapters of a run, scenarios first."""
    missing = results.missing
    ended = results.results
    keys = sorted({_key(entry) for entry in (*missing, *(each.entry for each in ended))})
    return [_chapter(key, ended, missing) for key in keys]


_Key = tuple[int, int, str]


def _key(entry: Entry) -> _Key:
    return _ORDER.index(entry.area) if entry.area in _ORDER else len(_ORDER), entry.scenario, _name(entry)


def _name(entry: Entry) -> str:
    return _TOLD_AS_ONE.get(entry.area) or _SCENARIO_PREFIX.sub("", entry.chapter)


def _chapter(key: _Key, ended: Iterable[Result], missing: Iterable[Entry]) -> Chapter:
    _, scenario, name = key
    return Chapter(
        number=str(scenario or ""),
        name=name[:1].upper() + name[1:],
        results=tuple(each for each in ended if _key(each.entry) == key),
        missing=tuple(each for each in missing if _key(each) == key),
    )
