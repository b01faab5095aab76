"""The result of a run, as one word and one sentence. Only a complete run can have passed."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, NamedTuple

import pytest

from lumen_conformance.registry.option_table import spelled
from lumen_conformance.report import shared_files
from lumen_conformance.report.results import RESULTS, Result, Results, counts

Tone = Literal["good", "bad", "incomplete"]

UNJUDGED, NOTHING_PASSED, IN_PART = "NOT FULLY JUDGED", "NOTHING PASSED", "PASSED IN PART"
INCOMPLETE: Final = "INCOMPLETE"
MOST_REASONS: Final = 3
REASON_CHARS: Final = 60
NOT_APPLICABLE: Final = "{} not applicable"
_UNDECLARED: Final = re.compile(r"the target does not declare: (.*)")
PARTIAL_RESULTS: Final = (UNJUDGED, NOTHING_PASSED, IN_PART, INCOMPLETE)
_INCOMPLETE: Final = {
    pytest.ExitCode.INTERRUPTED: ("INTERRUPTED", "The run was stopped before its end"),
    pytest.ExitCode.INTERNAL_ERROR: ("INTERNAL ERROR", "pytest failed, so the results are not reliable"),
    pytest.ExitCode.USAGE_ERROR: ("USAGE ERROR", "The options or the collection are invalid; see the terminal"),
    pytest.ExitCode.NO_TESTS_COLLECTED: ("NOTHING RAN", "No test was selected"),
}


class Phrase(NamedTuple):
    """A part of a sentence: a text with places for values. The text is the key of its translation."""

    text: str
    values: tuple[int | str, ...] = ()

    def __str__(self) -> str:
        return self.text.format(*self.values)


Phrases = tuple[Phrase, ...]
Reasons = tuple[tuple[int, str], ...]  # how many tests did not apply, and why


@dataclass(frozen=True)
class RunResult:
    """The result of a run, in parts that make one sentence; ``tone`` selects its colour.

    ``why``      why the run is not complete
    ``counts``   the number of each outcome
    ``remarks``  what the counts do not say
    ``reasons``  why tests did not apply
    """

    tone: Tone
    word: str
    counts: Phrases = ()
    why: Phrases = ()
    remarks: Phrases = ()
    reasons: Reasons = ()

    @property
    def sentence(self) -> str:
        """The sentence in English.

        For example: 13 passed, 0 failed, 44 not applicable (38 need --proxy-can journal, 6 need --proxy-can tools).
        """
        return self.written(str, lambda number, reason: f"{number} {spell(reason)}")

    def written(self, phrase: Callable[[Phrase], str], reason: Callable[[int, str], str]) -> str:
        """Return the sentence in the language of these functions."""
        reasons = ", ".join(reason(*each) for each in self.reasons)
        notes = {NOT_APPLICABLE: f" ({reasons})"} if reasons else {}
        parts = (
            ", ".join(f"{phrase(each)}{notes.get(each.text, '')}" for each in part)
            for part in (self.why, self.counts, self.remarks)
            if part
        )
        return f"{'; '.join(parts)}."

    @property
    def short_counts(self) -> str:
        """The numbers of all outcomes in English, without reasons."""
        return ", ".join(map(str, self.counts))


def summarize_run(exit_status: int, results: Results) -> RunResult:
    """Return the result of a run that ended with this exit status of pytest; without a file it has not passed."""
    if not results.lost_files:
        return _summarize_checks(exit_status, results)
    checks = _summarize_checks(results.status_before_loss, results)
    return replace(
        checks,
        tone="bad" if checks.tone == "bad" else "incomplete",
        word=checks.word if results.status_before_loss else INCOMPLETE,
        remarks=(*checks.remarks, Phrase("not written: {}", (", ".join(results.lost_files),))),
    )


def _summarize_checks(exit_status: int, results: Results) -> RunResult:
    count, failures, never_ran = counts(results.results), _failures(results), _never_ran(results)
    unjudged, reasons = len(results.unjudged), skip_reasons(results.results)

    def result(tone: Tone, word: str, *remarks: Phrase) -> RunResult:
        return RunResult(tone, word, _counts(results), (), remarks, reasons)

    if exit_status in _INCOMPLETE:
        word, why = _INCOMPLETE[pytest.ExitCode(exit_status)]
        numbers = _counts(results) if results.results or failures else ()
        return RunResult("incomplete", word, numbers, (Phrase(why),), (), reasons)
    if failures and failures == never_ran and not exit_status:
        return result("incomplete", INCOMPLETE)
    if unjudged and not failures:
        failing = Phrase("{} of those not judged fail the run", (unjudged,))
        return result("incomplete", UNJUDGED, *[failing] * (unjudged < count["not_judged"]))
    if failures or exit_status:
        return result("bad", "FAILED", *[Phrase("pytest ended with exit status {}", (exit_status,))] * (not failures))
    if not count["passed"]:
        return result("incomplete", NOTHING_PASSED)
    if count["skipped"] > count["passed"]:
        return result("incomplete", IN_PART)
    return result("good", "PASSED")


def _counts(results: Results) -> Phrases:
    """Return the numbers of all outcomes."""
    ended, count = results.results, counts(results.results)
    return (
        Phrase("{} passed", (count["passed"],)),
        Phrase("{} failed", (count["failed"],)),
        *_present(Phrase("{} ended in an error", (count["error"],)), _broken(results)),
        *_present(Phrase("{} not judged", (count["not_judged"],)), _warned(ended)),
        *_present(Phrase("{} known to fail", (count["baselined"],)), Phrase(NOT_APPLICABLE, (count["skipped"],))),
        *_never_ran(results),
    )


def _present(*phrases: Phrase) -> Phrases:
    """Return the phrases whose first value is not 0."""
    return tuple(each for each in phrases if each.values[0])


def _warned(results: Sequence[Result]) -> Phrase:
    """Return the number of warnings; those of tier S are failures of the strict layer, the others advice."""
    strict = sum(each.reported for each in results)
    warned = sum(each.outcome == "warned" for each in results)
    if 0 < strict < warned:
        return Phrase("{} warned ({} of tier S)", (warned, strict))
    return Phrase("{} warned (tier S)" if strict else "{} warned", (warned,))


def skip_reasons(results: Iterable[Result], most: int = MOST_REASONS) -> Reasons:
    """Return how many tests did not apply, and why, the most frequent reasons first; the last may be of the others."""
    reasons = [each.reason for each in results if each.outcome == "skipped"]
    found, whole = Counter(map(spell, reasons)), dict(zip(map(spell, reasons), reasons, strict=True))
    shown = tuple((number, whole[reason]) for reason, number in found.most_common(most))
    others = len(reasons) - sum(number for number, _ in shown)
    return (*shown, (others, "for other reasons")) if others else shown


def spell(reason: str, chars: int = REASON_CHARS) -> str:
    """Return a reason in a few words; a capability as the option that declares it."""
    if missing := _UNDECLARED.match(reason):
        return f"need {spelled('can')} {missing[1].replace(', ', ',')}"
    text = " ".join(reason.removeprefix("not applicable: ").split())
    return text if len(text) <= chars else f"{text[:chars].rpartition(' ')[0] or text[:chars]}…"


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
    strict = [_warned(results)] if any(each.reported for each in results) else []
    unjudged = Phrase("{} not judged", (counts(results)["not_judged"],))
    return [str(each) for each in (*_failure_counts(results), *_present(*strict, unjudged))]


def _failure_counts(results: Iterable[Result]) -> Phrases:
    count = counts(results)
    return _present(Phrase("{} failed", (count["failed"],)), Phrase("{} ended in an error", (count["error"],)))


def _failures(results: Results) -> Phrases:
    return (*_failure_counts(results.results), *_present(_broken(results)), *_never_ran(results))


def _broken(results: Results) -> Phrase:
    return Phrase("{} could not be collected", (len(results.broken),))


def _never_ran(results: Results) -> Phrases:
    return _present(Phrase("{} of {} tests never ran", (len(results.missing), len(results.expected))))
