"""The two ways in which a check does not pass: its claim is refuted, or it cannot be judged.

A check states what it expected and what it found, by `expect`.  A check whose precondition failed raises `NotJudged`
and names the checks that say why: nothing seen is never a pass.  Any other exception of a check, but for a failed
``assert``, is a fault of the suite and ends as an error.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final

import pytest

from lumen_conformance.registry.declaration import check_of, claim_of
from lumen_conformance.schemas.descriptions import as_json

FAILURE: Final = "failure"
NOT_JUDGED: Final = "not_judged"
SUITE_FAULT: Final = "suite_fault"
FOUND_CHARS: Final = 300  # of a found value in a report: a few lines

# What pytest_report_teststatus returns: category, letter, word with its markup.
Status = tuple[str, str, tuple[str, dict[str, bool]]]


@dataclass(frozen=True)
class Failure:
    """What a check expected and what it found, in words that a stranger understands.

    ``at``         where: a JSON path, a byte offset, a line of a log
    ``excerpt``    the bytes there
    ``curl``       a command line that repeats the request
    ``judge``      the id of the judge that found it, where that is not the check itself
    ``tier``       its own, where it is more than the check is about
    ``signature``  what failures of one cause have in common, where ``found`` does not tell it
    """

    expected: str
    found: str
    at: str = ""
    excerpt: str = ""
    curl: str = ""
    judge: str = ""
    tier: str = ""
    signature: str = ""

    def text(self, check: str, tier: str, claim: str) -> str:
        """The failure of a check, as the terminal and the report show it."""
        rows = {"expected": self.expected, "found": self.found, "at": self.at, "bytes": self.excerpt}
        lines = [f"  {name + ':':<10}{text}" for name, text in (rows | {"repeat": self.curl}).items() if text]
        by = f", by {self.judge}" if self.judge else ""
        return "\n".join([f"{check}{by} ({tier}) broken: {claim.rstrip('.')}", *lines])


class Refuted(Exception):  # noqa: N818 -- reads as what happened
    """The claim of a check does not hold."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"expected: {failure.expected}; found: {failure.found}")
        self.failure = failure


class NotJudged(Exception):  # noqa: N818 -- reads as what happened
    """The claim of a check cannot be decided, because what it speaks of was not there.

    ``because_of`` has the ids of the checks that say why it was not.
    """

    def __init__(self, reason: str, because_of: tuple[str, ...]) -> None:
        super().__init__(f"{reason} ({', '.join(because_of)})" if because_of else reason)
        self.reason = reason
        self.because_of = because_of


def expect(holds: bool, expected: str, found: object, *, at: str = "") -> None:  # noqa: FBT001 -- reads as an assertion
    """Raise `Refuted` unless the claim holds; ``found`` is a text, or a value that is shown as JSON."""
    if not holds:
        raise Refuted(Failure(expected, found if isinstance(found, str) else shorten(found), at))


def shorten(value: object, chars: int = FOUND_CHARS) -> str:
    """A text in quotes, any other value as JSON, cut to a few lines."""
    text = repr(value) if isinstance(value, str | bytes) else as_json(value)
    return text if len(text) <= chars else f"{text[:chars]}… ({len(text)} characters)"


def told(item: pytest.Item, failure: Failure) -> str:
    """A failure with the id, tier and claim of the check that found it."""
    found = check_of(item)
    claim = (found and found.claim) or claim_of(getattr(item, "function", None))
    return failure.text(found.id if found else item.name, failure.tier or (found.tier if found else "M"), claim)


def record(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Give a refuted, an unjudged and a faulty check its outcome, and the record of it."""
    error = call.excinfo.value if call.excinfo else None
    if isinstance(error, Refuted):
        report.user_properties.append((FAILURE, asdict(error.failure)))
        report.longrepr = f"{told(item, error.failure)}\n{_place(item, error)}: refuted"
    elif isinstance(error, NotJudged):
        report.user_properties.append((NOT_JUDGED, {"reason": error.reason, "because_of": list(error.because_of)}))
        report.outcome = "skipped"
        report.longrepr = (str(item.path), item.location[1] or 0, f"Skipped: not judged: {error}")
    elif _is_fault_of_the_suite(item, call, report):
        report.user_properties.append((SUITE_FAULT, type(error).__name__))


def _place(item: pytest.Item, error: Exception) -> str:
    """File and line of the test where the claim was refuted, as editors make a link of it."""
    trace, line = error.__traceback__, (item.location[1] or 0) + 1
    while trace:
        line = trace.tb_lineno if trace.tb_frame.f_code.co_filename == str(item.path) else line
        trace = trace.tb_next
    return f"{item.location[0]}:{line}"


def _is_fault_of_the_suite(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> bool:
    refuting = (AssertionError, pytest.fail.Exception)
    unexpected = call.excinfo is not None and not isinstance(call.excinfo.value, refuting)
    return report.failed and call.when == "call" and unexpected and check_of(item) is not None


def is_suite_fault(report: pytest.TestReport) -> bool:
    """Whether a check ended by an exception that states nothing about the target."""
    return any(name == SUITE_FAULT for name, _ in report.user_properties)


def own_tier(report: pytest.TestReport) -> str:
    """The tier of a failure that is more than its check is about; empty for all others."""
    told = (value for name, value in report.user_properties if name == FAILURE and isinstance(value, dict))
    return next((str(value["tier"]) for value in told), "")


def status_of(report: pytest.TestReport) -> Status | None:
    """Count what was not judged apart from what was skipped, and a fault of the suite as an error."""
    if report.skipped and any(name == NOT_JUDGED for name, _ in report.user_properties):
        return NOT_JUDGED, "n", ("NOT JUDGED", {"yellow": True})
    if report.when == "call" and report.failed and is_suite_fault(report):
        return "error", "E", ("ERROR", {"red": True})
    return None
