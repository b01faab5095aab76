"""The result of each test, from the reports of its phases."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import pytest

from lumen_conformance.registry.measurement import EVIDENCE, MEASUREMENT, REPORTED_ONLY, WARNING, Measurement, reason_of
from lumen_conformance.registry.refutation import FAILURE, NOT_JUDGED, SUITE_FAULT, Failure
from lumen_conformance.report import entries, shared_files
from lumen_conformance.report.baseline import BASELINE, BASELINE_FILES, BASELINED, in_part, listed_as, stale
from lumen_conformance.report.crashes import CRASHED
from lumen_conformance.report.entries import ReportEntry
from lumen_conformance.report.known_ids import names
from lumen_conformance.report.root_causes import roots, rows_of

Outcome = Literal["passed", "failed", "warned", "not_judged", "skipped", "error", "baselined"]
OUTCOMES: Final[tuple[Outcome, ...]] = ("passed", "failed", "error", "not_judged", "baselined", "warned", "skipped")
NEVER_RAN: Final = "never_ran"  # in the place of an outcome, for a test that has none
NEVER_RAN_REASON: Final = "never ran: the run ended before it"


@dataclass(frozen=True)
class Result:
    """The result of one test; ``reason`` is one line, empty if it passed; ``crashed`` if its process ended.

    ``because_of``  the ids of the checks because of which it was not judged, and ``explained_by`` their names
    ``failure``     the expected and the found value, if the check states them
    ``excused``     whether it was not judged, but does not fail the run: the baseline lists it, or all of its causes
                    do not fail the run
    ``stale``       whether it fails only because the baseline lists it and it passes
    """

    entry: ReportEntry
    outcome: Outcome
    reason: str
    crashed: bool
    duration_s: float
    measurements: tuple[Measurement, ...]
    evidence: tuple[str, ...]
    because_of: tuple[str, ...] = ()
    explained_by: tuple[str, ...] = ()
    failure: Failure | None = None
    excused: bool = False
    stale: bool = False

    @property
    def refuted(self) -> bool:
        """Whether the claim does not hold, also if this does not fail the run."""
        excused = self.outcome == "warned" and (self.failure is not None or self.entry.tier == "S")
        return (self.outcome in {"failed", "baselined"} and not self.stale) or excused

    @property
    def reported(self) -> bool:
        """Whether the claim does not hold, and the tier, other than W, does not fail the run."""
        return self.refuted and self.outcome == "warned" and self.entry.tier != "W"

    @property
    def name(self) -> str:
        """The id of the check with its parameters, or the pytest id of a test without a number."""
        return self.entry.name


class Results:
    """The reports of a run so far, and one result for each test."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._reports: dict[str, list[pytest.TestReport]] = {}
        self._results: dict[str, Result] = {}  # of these reports, before the baseline
        self.entries: entries.Entries = {}
        self.expected: frozenset[str] = frozenset()
        self.broken: list[pytest.CollectReport] = []
        self._started_s = time.monotonic()
        self._recorded_s: float | None = None
        self.lost_files: list[str] = []
        self.status_before_loss = 0

    @property
    def duration_s(self) -> float:
        """Seconds since the run began; for recorded runs, the duration of the longest."""
        return self._recorded_s if self._recorded_s is not None else time.monotonic() - self._started_s

    @property
    def results(self) -> tuple[Result, ...]:
        """The results so far, in the order of their collection."""
        order = {nodeid: position for position, nodeid in enumerate(self.entries)}
        over = self._reports.keys() - {each.nodeid for each in self.missing}
        nodeids = sorted(over, key=lambda nodeid: (order.get(nodeid, len(order)), nodeid))
        ended = list(self._judged([self._result(each) for each in nodeids]))
        return tuple(self._excused(list(_traced(ended))))

    def _result(self, nodeid: str) -> Result:
        """Return the result of one test; the results are read twenty times at the end of a run."""
        if nodeid not in self._results:
            self._results[nodeid] = _result(self.entry(nodeid), self._reports[nodeid])
        return self._results[nodeid]

    @property
    def unjudged(self) -> tuple[Result, ...]:
        """The results that were not judged and fail the run."""
        reported_only = self._config.stash.get(REPORTED_ONLY, frozenset("W"))
        unexcused = (each for each in self.results if each.outcome == "not_judged" and not each.excused)
        return tuple(each for each in unexcused if each.entry.tier not in reported_only)

    def _excused(self, results: list[Result]) -> Iterator[Result]:
        """Yield the results; set ``excused`` of those that were not judged."""
        known = self._config.stash[BASELINE]
        red = {each.entry.check_id for each in results if each.outcome in {"failed", "error"}}
        covered = {each.entry.check_id for each in results if each.refuted and each.outcome != "failed"} - red
        for each in results:
            listed = listed_as(known, each.entry.check_id, each.entry.parameters) is not None
            excused = listed or (bool(each.because_of) and covered.issuperset(each.because_of))
            yield replace(each, excused=excused) if each.outcome == "not_judged" else each

    def _judged(self, results: list[Result]) -> Iterator[Result]:
        """Yield the results; a check that the baseline lists and that passes becomes a failure."""
        known = self._config.stash[BASELINE]
        stale_ids = set(stale(known, ((one.entry.check_id, one.entry.parameters, one.outcome) for one in results)))
        if stale_ids:
            missing = {listed_as(known, each.check_id, each.parameters) for each in self.missing}
            stale_ids -= missing | in_part(self._config)
        for each in results:
            name = listed_as(known, each.entry.check_id, each.entry.parameters)
            if name in stale_ids and each.outcome == "passed":
                file = self._config.stash[BASELINE_FILES][name]
                reason = f"{file} lists {name} ({known[name]}), but it passes: remove this line"
                yield replace(each, outcome="failed", reason=reason, stale=True)
            else:
                yield each

    @property
    def missing(self) -> tuple[ReportEntry, ...]:
        """The tests that were selected and did not run to their end."""
        missing = self.expected - self._ended()
        return tuple(each for nodeid, each in self.entries.items() if nodeid in missing)

    def entry(self, nodeid: str) -> ReportEntry:
        """Return the entry of a test, or one with only its pytest id."""
        return self.entries.get(nodeid) or entries.unknown(nodeid)

    def reports_of(self, nodeid: str) -> list[pytest.TestReport]:
        """Return the reports of one test so far."""
        return self._reports.get(nodeid, [])

    def _ended(self) -> set[str]:
        """Return the tests that were torn down or have failed: a run that stops at a failure runs no teardown."""
        every = self._reports.items()
        return {each for each, reports in every if any(one.when == "teardown" or one.failed for one in reports)}

    def add_report(self, report: pytest.TestReport) -> None:
        """Keep the report of one phase."""
        self._reports.setdefault(report.nodeid, []).append(report)
        self._results.pop(report.nodeid, None)

    def add_broken(self, report: pytest.CollectReport) -> None:
        """Keep the report of a module that could not be collected."""
        if report.nodeid not in {each.nodeid for each in self.broken}:  # each worker reports it
            self.broken.append(report)

    def lose(self, file: str, exit_status: int) -> None:
        """Keep the name of a file of results that cannot be written, and the status of the run before the first."""
        if not self.lost_files:
            self.status_before_loss = exit_status
        self.lost_files.append(file)

    def replayed(self, nodeids: Iterable[str], duration_s: float) -> None:
        """Set the selected tests of recorded runs, and the duration of the longest run."""
        self.expect(nodeids)
        self._recorded_s = duration_s

    def expect(self, nodeids: Iterable[str]) -> None:
        """Set the selected tests."""
        self.expected = frozenset(nodeids)
        self.entries = entries.read(self._config)
        self._results.clear()


RESULTS: Final = pytest.StashKey[Results]()


def configure(config: pytest.Config) -> None:
    """Keep the results in the process that writes the report."""
    if shared_files.reports(config):
        config.stash[RESULTS] = Results(config)


def expect_items(session: pytest.Session) -> None:
    """Set the selected tests of a run without parallel workers."""
    if shared_files.reports(session.config):
        session.config.stash[RESULTS].expect(item.nodeid for item in session.items)


def counts(results: Iterable[Result]) -> Counter[Outcome]:
    """Return the number of tests for each outcome."""
    return Counter(each.outcome for each in results)


def properties(reports: Iterable[pytest.TestReport], name: str) -> list[Any]:
    """Return the values that a test has recorded under a name.

    The report of a later phase repeats the values of earlier phases; the report of a crash does not.
    """
    phases = ([value for key, value in each.user_properties if key == name] for each in reports)
    return max(phases, key=len, default=[])


def _result(entry: ReportEntry, reports: list[pytest.TestReport]) -> Result:
    warnings, known = properties(reports, WARNING), properties(reports, BASELINED)
    crashed = bool(properties(reports, CRASHED))
    failure = next((Failure(**each) for each in properties(reports, FAILURE)), None)
    outcome, report = _outcome(reports, crashed=crashed, success=_success(warnings, known))
    return Result(
        entry=replace(entry, tier=failure.tier) if failure and failure.tier else entry,
        outcome=outcome,
        reason=_reason(outcome, report, warnings, known),
        crashed=crashed,
        duration_s=sum(each.duration for each in reports),
        measurements=tuple(Measurement(**each) for each in properties(reports, MEASUREMENT)),
        evidence=tuple(properties(reports, EVIDENCE)),
        because_of=tuple(name for each in properties(reports, NOT_JUDGED) for name in each["because_of"]),
        failure=failure,
    )


def _traced(results: list[Result]) -> Iterator[Result]:
    """Yield the results; ``because_of`` names failures, not other checks that were not judged."""
    refuted: dict[str, list[str]] = defaultdict(list)
    unjudged: dict[str, list[str]] = defaultdict(list)
    for each in results:
        if each.refuted or each.outcome == "error":
            refuted[each.entry.check_id].append(each.entry.parameters)
        elif each.outcome == "not_judged":
            unjudged[each.entry.check_id].append(each.entry.parameters)
    reasons = {
        (each.entry.check_id, each.entry.parameters): tuple(
            row for name in each.because_of for row in rows_of(name, each.entry.parameters, refuted, unjudged)
        )
        for each in results
        if each.because_of
    }
    failed = {(check_id, parameters) for check_id, rows in refuted.items() for parameters in rows}
    for each in results:
        rows = roots(reasons.get((each.entry.check_id, each.entry.parameters), ()), failed, reasons)
        ids = tuple(dict.fromkeys(check_id for check_id, _ in rows))
        yield replace(each, because_of=ids, explained_by=tuple(names(*row)[0] for row in rows)) if rows else each


def _success(warnings: list[str], known: list[str]) -> Outcome:
    """Return the outcome of a test that does not fail the run."""
    return "baselined" if known else "warned" if warnings else "passed"


def _reason(outcome: Outcome, report: pytest.TestReport | None, warnings: list[str], known: list[str]) -> str:
    recorded = {"warned": warnings, "baselined": known}.get(outcome)
    return recorded[0] if recorded else reason_of(report) if report else ""


def _outcome(
    reports: list[pytest.TestReport], *, crashed: bool, success: Outcome
) -> tuple[Outcome, pytest.TestReport | None]:
    """Return the outcome, and the report that has the reason.

    Only the call of a test can refute a claim. A failed set-up, a failed teardown and a crash are errors.
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
    return success, None
