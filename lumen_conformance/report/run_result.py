"""The result of a run, as one word and one sentence. Only a complete run can have passed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import pytest

from lumen_conformance.report import shared_files
from lumen_conformance.report.results import RESULTS, Result, Results, counts

Tone = Literal["good", "bad", "incomplete"]

UNJUDGED, NOTHING_PASSED, IN_PART = "NOT FULLY JUDGED", "NOTHING PASSED", "PASSED IN PART"
PARTIAL_RESULTS: Final = (UNJUDGED, NOTHING_PASSED, IN_PART)
_INCOMPLETE: Final = {
    pytest.ExitCode.INTERRUPTED: ("INTERRUPTED", "The run was stopped before its end"),
    pytest.ExitCode.INTERNAL_ERROR: ("INTERNAL ERROR", "pytest failed, so the results are not reliable"),
    pytest.ExitCode.USAGE_ERROR: ("USAGE ERROR", "The options or the collection are invalid; see the terminal"),
    pytest.ExitCode.NO_TESTS_COLLECTED: ("NOTHING RAN", "No test was selected"),
}


@dataclass(frozen=True)
class RunResult:
    """The result of a run; ``tone`` selects its colour."""

    tone: Tone
    word: str
    sentence: str


def summarize_run(exit_status: int, results: Results) -> RunResult:
    """Return the result of a run that ended with this exit status of pytest."""
    count, failures, undecided = counts(results.results), _failures(results), _undecided(results.results)
    passed = f"{count['passed']} passed"
    details = ", ".join(filter(None, [failures, *undecided]))
    if exit_status in _INCOMPLETE:
        word, why = _INCOMPLETE[pytest.ExitCode(exit_status)]
        return RunResult("incomplete", word, f"{why}{f'; {details}' if details else ''}.")
    if failures and failures == _never_ran(results) and not exit_status:
        return RunResult("incomplete", "INCOMPLETE", f"{details}.")
    unjudged = len(results.unjudged)
    if unjudged and not failures:
        failing = f", {unjudged} of them fail the run" if unjudged < count["not_judged"] else ""
        return RunResult("incomplete", UNJUDGED, f"{', '.join([passed, *undecided])}{failing}.")
    if failures or exit_status:
        return RunResult("bad", "FAILED", f"{details if failures else f'pytest ended with exit status {exit_status}'}.")
    if not count["passed"]:
        return RunResult("incomplete", NOTHING_PASSED, "Every selected test was skipped, or only warned.")
    if count["skipped"] > count["passed"]:
        parts = [passed, *undecided, f"{count['skipped']} not applicable"]
        return RunResult("incomplete", IN_PART, f"{', '.join(parts)}.")
    return RunResult("good", "PASSED", _success_sentence(results.results))


def set_exit_status(session: pytest.Session) -> None:
    """Fail a run that lost tests, as xdist may end with 0 then, or whose results fail it for another reason."""
    config = session.config
    lost = shared_files.reports(config) and not config.option.collectonly and config.stash[RESULTS].missing
    if lost and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
    elif session.exitstatus == pytest.ExitCode.OK and shared_files.reports(config) and _fails(config.stash[RESULTS]):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _fails(results: Results) -> bool:
    """Return whether a stale line of the baseline, or a check that was not judged, fails the run."""
    return counts(results.results)["failed"] > 0 or bool(results.unjudged)


def describe_counts(results: Sequence[Result]) -> list[str]:
    """Return texts with the numbers of checks that did not pass."""
    return [*_failure_counts(results), *_undecided(results)]


def _failure_counts(results: Iterable[Result]) -> list[str]:
    count = counts(results)
    return _numbers({"failed": count["failed"], "ended in an error": count["error"]})


def _undecided(results: Sequence[Result]) -> list[str]:
    count = counts(results)
    strict = sum(each.reported for each in results)
    warned = f"warned ({f'{strict} of ' * (strict < count['warned'])}tier S)"  # the others are advice, tier W
    return _numbers({warned: count["warned"] if strict else 0, "not judged": count["not_judged"]})


def _numbers(parts: Mapping[str, int]) -> list[str]:
    return [f"{number} {text}" for text, number in parts.items() if number]


def _failures(results: Results) -> str:
    broken = _numbers({"could not be collected": len(results.broken)})
    return ", ".join(filter(None, [*_failure_counts(results.results), *broken, _never_ran(results)]))


def _never_ran(results: Results) -> str:
    return f"{len(results.missing)} of {len(results.expected)} tests never ran" if results.missing else ""


def _success_sentence(results: Sequence[Result]) -> str:
    count, undecided = counts(results), _undecided(results)
    advised = 0 if any(each.reported for each in results) else count["warned"]
    others = {"with a warning": advised, "known to fail": count["baselined"], "skipped": count["skipped"]}
    passed = count["passed"]
    every = f"{passed} passed" if undecided else "The test passed" if passed == 1 else f"All {passed} tests passed"
    return f"{', '.join([every, *undecided, *_numbers(others)])}."
