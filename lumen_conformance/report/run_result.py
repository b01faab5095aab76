"""How a run ended, in one word and one sentence.  Only a run that is complete may be called passed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import pytest

from lumen_conformance.report import shared_files
from lumen_conformance.report.results import RESULTS, Result, Results, counts

Tone = Literal["good", "bad", "incomplete"]

UNJUDGED, NOTHING_PASSED, IN_PART = "NOT FULLY JUDGED", "NOTHING PASSED", "PASSED IN PART"
SHOWN_LESS: Final = (UNJUDGED, NOTHING_PASSED, IN_PART)
_CUT_SHORT: Final = {
    pytest.ExitCode.INTERRUPTED: ("INTERRUPTED", "The run was stopped before its end"),
    pytest.ExitCode.INTERNAL_ERROR: ("INTERNAL ERROR", "pytest itself failed; nothing can be concluded from the rows"),
    pytest.ExitCode.USAGE_ERROR: ("USAGE ERROR", "The command line or the collection is wrong; see the terminal"),
    pytest.ExitCode.NO_TESTS_COLLECTED: ("NOTHING RAN", "No test was selected"),
}


@dataclass(frozen=True)
class Ending:
    """The verdict of a run; ``tone`` chooses its colour."""

    tone: Tone
    word: str
    sentence: str


def ending_of(exit_status: int, results: Results) -> Ending:
    """Return the verdict on a run that ended with this exit status of pytest."""
    count, wrong, calm = counts(results.results), _wrong(results), _calm(results.results)
    passed = f"{count['passed']} passed"
    told = ", ".join(filter(None, [wrong, *calm]))
    if exit_status in _CUT_SHORT:
        word, why = _CUT_SHORT[pytest.ExitCode(exit_status)]
        return Ending("incomplete", word, f"{why}{f'; {told}' if told else ''}.")
    if wrong and wrong == _never_ran(results) and not exit_status:
        return Ending("incomplete", "INCOMPLETE", f"{told}.")
    unjudged = len(results.unjudged)
    if unjudged and not wrong:
        red = f", {unjudged} of them red" if unjudged < count["not_judged"] else ""
        return Ending("incomplete", UNJUDGED, f"{', '.join([passed, *calm])}{red}.")
    if wrong or exit_status:
        return Ending("bad", "FAILED", f"{told if wrong else f'Pytest ended with exit status {exit_status}'}.")
    if not count["passed"]:
        return Ending("incomplete", NOTHING_PASSED, "Every test that was selected was skipped, or only warned.")
    if count["skipped"] > count["passed"]:
        words = [passed, *calm, f"{count['skipped']} not applicable"]
        return Ending("incomplete", IN_PART, f"{', '.join(words)}.")
    return Ending("good", "PASSED", _all_held(results.results))


def set_exit_status(session: pytest.Session) -> None:
    """Refuse success to a run that lost tests (xdist can end with 0 then), or that is red without pytest knowing."""
    config = session.config
    lost = shared_files.reports(config) and not config.option.collectonly and config.stash[RESULTS].missing
    if lost and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
    elif session.exitstatus == pytest.ExitCode.OK and shared_files.reports(config) and _is_red(config.stash[RESULTS]):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _is_red(results: Results) -> bool:
    """Return whether an old line of the baseline, or a check that was not judged, turns a run red."""
    return counts(results.results)["failed"] > 0 or bool(results.unjudged)


def told_counts(results: Sequence[Result]) -> list[str]:
    """Return how many checks did not hold, in words: those of the last sentence, and of the head of the causes."""
    return [*_red(results), *_calm(results)]


def _red(results: Iterable[Result]) -> list[str]:
    count = counts(results)
    return _numbers({"failed": count["failed"], "ended in an error": count["error"]})


def _calm(results: Sequence[Result]) -> list[str]:
    strict = sum(each.reported for each in results)
    return _numbers({"warned (strict)": strict, "not judged": counts(results)["not_judged"]})


def _numbers(parts: Mapping[str, int]) -> list[str]:
    return [f"{number} {words}" for words, number in parts.items() if number]


def _wrong(results: Results) -> str:
    broken = _numbers({"could not be collected": len(results.broken)})
    return ", ".join(filter(None, [*_red(results.results), *broken, _never_ran(results)]))


def _never_ran(results: Results) -> str:
    return f"{len(results.missing)} of {len(results.expected)} tests never ran" if results.missing else ""


def _all_held(results: Sequence[Result]) -> str:
    count, calm = counts(results), _calm(results)
    advised = count["warned"] - sum(each.reported for each in results)
    others = {"with a warning": advised, "known to fail": count["baselined"], "skipped": count["skipped"]}
    passed = count["passed"]
    every = f"{passed} passed" if calm else "The one test holds" if passed == 1 else f"All {passed} tests hold"
    return f"{', '.join([every, *calm, *_numbers(others)])}."
