"""How each test ended: the reports of its phases, gathered where they arrive, told as one result."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import pytest

from lumen_conformance.registry.measurement import EVIDENCE, MEASUREMENT, REPORTED_ONLY, WARNING, Measurement, reason_of
from lumen_conformance.registry.refutation import FAILURE, NOT_JUDGED, SUITE_FAULT, Failure
from lumen_conformance.report import entries, output_paths, shared_files
from lumen_conformance.report.baseline import BASELINE, BASELINED, in_part, listed_as, stale
from lumen_conformance.report.crashes import CRASHED
from lumen_conformance.report.entries import Entry
from lumen_conformance.report.root_causes import roots

Outcome = Literal["passed", "failed", "warned", "not_judged", "skipped", "error", "baselined"]
OUTCOMES: Final[tuple[Outcome, ...]] = ("passed", "failed", "error", "not_judged", "baselined", "warned", "skipped")


@dataclass(frozen=True)
class Result:
    """One test's end; ``reason`` is one line, empty when it passed; ``crashed`` when its process died.

    ``because_of``  the ids of the checks that say why it was not judged
    ``failure``     what was expected and found, where the check states it
    ``excused``     whether it was not judged only because of what turns nothing red: the baseline lists it, or its
                    tier is only reported
    ``stale``       whether it is red only because the baseline lists it
    """

    entry: Entry
    outcome: Outcome
    reason: str
    crashed: bool
    duration_s: float
    measurements: tuple[Measurement, ...]
    evidence: tuple[str, ...]
    because_of: tuple[str, ...] = ()
    failure: Failure | None = None
    excused: bool = False
    stale: bool = False

    @property
    def refuted(self) -> bool:
        """Whether the claim does not hold: red, known, or only reported."""
        excused = self.outcome == "warned" and (self.failure is not None or self.entry.tier == "S")
        return self.outcome in {"failed", "baselined"} or excused

    @property
    def reported(self) -> bool:
        """Whether the claim of a strict check does not hold, which turns nothing red here."""
        return self.refuted and self.outcome == "warned" and self.entry.tier != "W"

    @property
    def name(self) -> str:
        """What people call it: the id of the check with its parameters, or the pytest id of a plain test."""
        return " ".join(filter(None, [self.entry.check_id, self.entry.parameters])) or self.entry.nodeid


class Results:
    """Everything that is reported while a run goes on.  Each test has one result, whatever was reported of it."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._reports: dict[str, list[pytest.TestReport]] = {}
        self.catalogue: entries.Catalogue = {}
        self.expected: frozenset[str] = frozenset()
        self.broken: list[pytest.CollectReport] = []
        self._started_s = time.monotonic()
        self._recorded_s: float | None = None

    @property
    def duration_s(self) -> float:
        """Seconds since the run began; of recorded runs, those of the longest."""
        return self._recorded_s if self._recorded_s is not None else time.monotonic() - self._started_s

    @property
    def results(self) -> tuple[Result, ...]:
        """The results so far, in the order of their collection."""
        order = {nodeid: place for place, nodeid in enumerate(self.catalogue)}
        over = self._reports.keys() - {each.nodeid for each in self.missing}
        nodeids = sorted(over, key=lambda nodeid: (order.get(nodeid, len(order)), nodeid))
        ended = list(self._judged([_result(self.entry(each), self._reports[each]) for each in nodeids]))
        return tuple(self._excused(list(_traced(ended))))

    @property
    def unjudged(self) -> tuple[Result, ...]:
        """What was not judged and should have been: of a tier that can turn the run red, and not excused."""
        reported_only = self._config.stash.get(REPORTED_ONLY, frozenset("W"))
        left = (each for each in self.results if each.outcome == "not_judged" and not each.excused)
        return tuple(each for each in left if each.entry.tier not in reported_only)

    def _excused(self, results: list[Result]) -> Iterator[Result]:
        """Yield the results; what was not judged is excused where it, or all of its causes, turn nothing red."""
        known = self._config.stash[BASELINE]
        red = {each.entry.check_id for each in results if each.outcome in {"failed", "error"}}
        covered = {each.entry.check_id for each in results if each.refuted and each.outcome != "failed"} - red
        for each in results:
            listed = listed_as(known, each.entry.check_id, each.entry.parameters) is not None
            excused = listed or (bool(each.because_of) and covered.issuperset(each.because_of))
            yield replace(each, excused=excused) if each.outcome == "not_judged" else each

    def _judged(self, results: list[Result]) -> Iterator[Result]:
        """Yield the results; a check that is listed in the baseline and passes is a failure."""
        known = self._config.stash[BASELINE]
        rotten = set(stale(known, ((one.entry.check_id, one.entry.parameters, one.outcome) for one in results)))
        if rotten:
            left = {listed_as(known, each.check_id, each.parameters) for each in self.missing}
            rotten -= left | in_part(self._config)
        for each in results:
            name = listed_as(known, each.entry.check_id, each.entry.parameters)
            if name in rotten and each.outcome == "passed":
                file = output_paths.given(self._config, "--baseline")
                reason = f"{file} lists {name} ({known[name]}), but it passes: remove its line from that file"
                yield replace(each, outcome="failed", reason=reason, stale=True)
            else:
                yield each

    @property
    def missing(self) -> tuple[Entry, ...]:
        """The tests that were selected and never ran to an end."""
        owed = self.expected - self._ended()
        return tuple(each for nodeid, each in self.catalogue.items() if nodeid in owed)

    def entry(self, nodeid: str) -> Entry:
        """Return what a test is, or what its pytest id alone tells."""
        return self.catalogue.get(nodeid) or entries.unknown(nodeid)

    def reports_of(self, nodeid: str) -> list[pytest.TestReport]:
        """Return the reports of one test so far."""
        return self._reports.get(nodeid, [])

    def _ended(self) -> set[str]:
        """What was torn down, or has failed before: a run that stops at a failure leaves its teardown out."""
        every = self._reports.items()
        return {each for each, reports in every if any(one.when == "teardown" or one.failed for one in reports)}

    def add_report(self, report: pytest.TestReport) -> None:
        """Keep the report of one phase."""
        self._reports.setdefault(report.nodeid, []).append(report)

    def add_broken(self, report: pytest.CollectReport) -> None:
        """Keep what could not be collected."""
        if report.nodeid not in {each.nodeid for each in self.broken}:  # each worker collects
            self.broken.append(report)

    def replayed(self, nodeids: Iterable[str], duration_s: float) -> None:
        """Learn what recorded runs had to run, and how long the longest of them took."""
        self.expect(nodeids)
        self._recorded_s = duration_s

    def expect(self, nodeids: Iterable[str]) -> None:
        """Learn what is to run."""
        self.expected = frozenset(nodeids)
        self.catalogue = entries.read(self._config)


RESULTS: Final = pytest.StashKey[Results]()


def configure(config: pytest.Config) -> None:
    """Gather results in the process that reports."""
    if shared_files.reports(config):
        config.stash[RESULTS] = Results(config)


def expect_items(session: pytest.Session) -> None:
    """Learn what is to run, without parallel workers."""
    if shared_files.reports(session.config):
        session.config.stash[RESULTS].expect(item.nodeid for item in session.items)


def counts(results: Iterable[Result]) -> Counter[Outcome]:
    """Count every test once, by its outcome."""
    return Counter(each.outcome for each in results)


def properties(reports: Iterable[pytest.TestReport], name: str) -> list[Any]:
    """Return what a test recorded under a name; a later phase repeats what earlier ones recorded, a crash does not."""
    phases = ([value for key, value in each.user_properties if key == name] for each in reports)
    return max(phases, key=len, default=[])


def _result(entry: Entry, reports: list[pytest.TestReport]) -> Result:
    warnings, known = properties(reports, WARNING), properties(reports, BASELINED)
    crashed = bool(properties(reports, CRASHED))
    failure = next((Failure(**each) for each in properties(reports, FAILURE)), None)
    outcome, telling = _outcome(reports, crashed=crashed, calm=_calm(warnings, known))
    return Result(
        entry=replace(entry, tier=failure.tier) if failure and failure.tier else entry,
        outcome=outcome,
        reason=_reason(outcome, telling, warnings, known),
        crashed=crashed,
        duration_s=sum(each.duration for each in reports),
        measurements=tuple(Measurement(**each) for each in properties(reports, MEASUREMENT)),
        evidence=tuple(properties(reports, EVIDENCE)),
        because_of=tuple(name for each in properties(reports, NOT_JUDGED) for name in each["because_of"]),
        failure=failure,
    )


def _traced(results: list[Result]) -> Iterator[Result]:
    """Yield the results; what was not judged names the checks that failed, not those that were not judged either."""
    refuted = {each.entry.check_id for each in results if each.refuted or each.outcome == "error"}
    reasons: dict[str, tuple[str, ...]] = {}
    for each in results:
        if each.outcome == "not_judged":
            reasons[each.entry.check_id] = reasons.get(each.entry.check_id, ()) + each.because_of
    for each in results:
        yield replace(each, because_of=roots(each.because_of, refuted, reasons)) if each.because_of else each


def _calm(warnings: list[str], known: list[str]) -> Outcome:
    """Return how a test ended that turns nothing red."""
    return "baselined" if known else "warned" if warnings else "passed"


def _reason(outcome: Outcome, telling: pytest.TestReport | None, warnings: list[str], known: list[str]) -> str:
    calm = {"warned": warnings, "baselined": known}.get(outcome)
    return calm[0] if calm else reason_of(telling) if telling else ""


def _outcome(
    reports: list[pytest.TestReport], *, crashed: bool, calm: Outcome
) -> tuple[Outcome, pytest.TestReport | None]:
    """Tell the outcome, and the report that tells why.

    Only a call can refute a claim.  A stage that could not run, a leak found afterwards and a process that died
    are faults of the harness.
    """
    bad = {each.when: each for each in reports if each.failed}
    skipped = next((each for each in reports if each.skipped), None)
    if crashed:
        return "error", bad["call"]
    if "call" in bad:
        return ("error" if properties(reports, SUITE_FAULT) else "failed"), bad["call"]
    if bad:
        return "error", next(iter(bad.values()))
    if skipped:
        return ("not_judged" if properties(reports, NOT_JUDGED) else "skipped"), skipped
    return calm, None
