"""The result of a run, as one word and one sentence. Only a complete run can have passed."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import pytest

from lumen_conformance.registry.option_table import spelled
from lumen_conformance.report import shared_files
from lumen_conformance.report.results import RESULTS, Result, Results, counts

Tone = Literal["good", "bad", "incomplete"]

UNJUDGED, NOTHING_PASSED, IN_PART = "NOT FULLY JUDGED", "NOTHING PASSED", "PASSED IN PART"
INCOMPLETE: Final = "INCOMPLETE"
MOST_REASONS: Final = 3
REASON_CHARS: Final = 60
_UNDECLARED: Final = re.compile(r"the target does not declare: (.*)")
PARTIAL_RESULTS: Final = (UNJUDGED, NOTHING_PASSED, IN_PART, INCOMPLETE)
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
    """Return the result of a run that ended with this exit status of pytest; without a file it has not passed."""
    if not results.lost_files:
        return _summarize_checks(exit_status, results)
    checks = _summarize_checks(results.status_before_loss, results)
    sentence = f"{checks.sentence.removesuffix('.')}; not written: {', '.join(results.lost_files)}."
    tone: Tone = "bad" if checks.tone == "bad" else "incomplete"
    return RunResult(tone, checks.word if results.status_before_loss else INCOMPLETE, sentence)


def _summarize_checks(exit_status: int, results: Results) -> RunResult:
    count, failures = counts(results.results), _failures(results)
    sentence = count_sentence(results)
    if exit_status in _INCOMPLETE:
        word, why = _INCOMPLETE[pytest.ExitCode(exit_status)]
        return RunResult("incomplete", word, f"{why}; {sentence}." if results.results or failures else f"{why}.")
    if failures and failures == _never_ran(results) and not exit_status:
        return RunResult("incomplete", INCOMPLETE, f"{sentence}.")
    unjudged = len(results.unjudged)
    if unjudged and not failures:
        failing = f"; {unjudged} of those not judged fail the run" if unjudged < count["not_judged"] else ""
        return RunResult("incomplete", UNJUDGED, f"{sentence}{failing}.")
    if failures or exit_status:
        ended = "" if failures else f"; pytest ended with exit status {exit_status}"
        return RunResult("bad", "FAILED", f"{sentence}{ended}.")
    if not count["passed"]:
        return RunResult("incomplete", NOTHING_PASSED, f"{sentence}.")
    if count["skipped"] > count["passed"]:
        return RunResult("incomplete", IN_PART, f"{sentence}.")
    return RunResult("good", "PASSED", f"{sentence}.")


def count_sentence(results: Results, *, with_reasons: bool = True) -> str:
    """Return the numbers of all outcomes in one sentence; what did not apply has its reasons, the most frequent first.

    For example: 13 passed, 0 failed, 44 not applicable (38 need --proxy-can journal, 6 need --proxy-can tools).
    """
    ended, count = results.results, counts(results.results)
    parts = [f"{count['passed']} passed", f"{count['failed']} failed"]
    parts += _numbers(
        {
            "ended in an error": count["error"],
            "could not be collected": len(results.broken),
            "not judged": count["not_judged"],
            _warned(ended): count["warned"],
            "known to fail": count["baselined"],
            "not applicable": count["skipped"],
        }
    )
    if with_reasons and count["skipped"]:
        parts[-1] += f" ({', '.join(f'{number} {spell(reason)}' for number, reason in skip_reasons(ended))})"
    return ", ".join(filter(None, [*parts, _never_ran(results)]))


def _warned(results: Sequence[Result]) -> str:
    """Return the word for warnings; those of tier S are failures of the strict layer, the others advice."""
    strict = sum(each.reported for each in results)
    warned = sum(each.outcome == "warned" for each in results)
    return f"warned ({f'{strict} of ' * (strict < warned)}tier S)" if strict else "warned"


def skip_reasons(results: Iterable[Result]) -> list[tuple[int, str]]:
    """Return how many tests did not apply, and why, the most frequent reasons first; the last may be of the others."""
    reasons = [each.reason for each in results if each.outcome == "skipped"]
    found, whole = Counter(map(spell, reasons)), dict(zip(map(spell, reasons), reasons, strict=True))
    most = [(number, whole[reason]) for reason, number in found.most_common(MOST_REASONS)]
    others = len(reasons) - sum(number for number, _ in most)
    return [*most, (others, "for other reasons")] if others else most


def spell(reason: str) -> str:
    """Return a reason in a few words; a capability as the option that declares it."""
    if missing := _UNDECLARED.match(reason):
        return f"need {spelled('can')} {missing[1].replace(', ', ',')}"
    text = " ".join(reason.split())
    return text if len(text) <= REASON_CHARS else f"{text[:REASON_CHARS]}…"


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
    strict = any(each.reported for each in results)
    return _numbers({_warned(results): count["warned"] if strict else 0, "not judged": count["not_judged"]})


def _numbers(parts: Mapping[str, int]) -> list[str]:
    return [f"{number} {text}" for text, number in parts.items() if number]


def _failures(results: Results) -> str:
    broken = _numbers({"could not be collected": len(results.broken)})
    return ", ".join(filter(None, [*_failure_counts(results.results), *broken, _never_ran(results)]))


def _never_ran(results: Results) -> str:
    return f"{len(results.missing)} of {len(results.expected)} tests never ran" if results.missing else ""
