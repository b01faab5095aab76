"""The outcomes of a check that does not pass: refuted, not judged, or a fault of the suite.

`expect` states the expected and the found value, and raises `Refuted`. A check whose precondition failed raises
`NotJudged` with the ids of the checks that have the reason, so it does not count as passed. Any other exception, except
a failed ``assert``, is a fault of the suite; the check ends with an error.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final

import pytest

from lumen_conformance.registry.declaration import check_of, claim_of
from lumen_conformance.schemas.descriptions import format_json

FAILURE: Final = "failure"
NOT_JUDGED: Final = "not_judged"
SUITE_FAULT: Final = "suite_fault"
MOST_HELD: Final = 8  # expectations of one check that the report shows, when they held
FOUND_CHARS: Final = 300  # of a found value in a report: a few lines

_HELD: Final[dict[str, object]] = {}

# What pytest_report_teststatus returns: category, letter, word with its markup.
Status = tuple[str, str, tuple[str, dict[str, bool]]]


@dataclass(frozen=True)
class Failure:
    """The expected and the found value of a check.

    ``at``         the place: a JSON path, a byte offset, a line of a log
    ``excerpt``    the bytes at this place
    ``curl``       a command that repeats the request
    ``judge``      the id of the judge, if it differs from the id of the check
    ``tier``       the tier of the failure, if it differs from the tier of the check
    ``signature``  what failures with the same cause have in common, if ``found`` is different for each
    ``dump``       the bytes at this place and around it as a hexdump, if the place is an offset
    """

    expected: str
    found: str
    at: str = ""
    excerpt: str = ""
    curl: str = ""
    judge: str = ""
    tier: str = ""
    signature: str = ""
    dump: str = ""

    def text(self, check: str, tier: str, claim: str) -> str:
        """Return the text of the failure for the terminal and the report."""
        rows = {"expected": self.expected, "found": self.found, "at": self.at, "bytes": self.excerpt}
        lines = [f"  {name + ':':<10}{text}" for name, text in (rows | {"repeat": self.curl}).items() if text]
        by = f", by {self.judge}" if self.judge else ""
        return "\n".join([f"{check}{by} ({tier}) broken: {claim.rstrip('.')}", *lines])


class Refuted(Exception):  # noqa: N818 -- the name of an outcome
    """The claim of a check does not hold."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"expected: {failure.expected}; found: {failure.found}")
        self.failure = failure


class NotJudged(Exception):  # noqa: N818 -- the name of an outcome
    """The claim of a check cannot be decided, because its subject did not occur.

    ``because_of`` has the ids of the checks that have the reason.
    """

    def __init__(self, reason: str, because_of: tuple[str, ...]) -> None:
        super().__init__(f"{reason} ({', '.join(because_of)})" if because_of else reason)
        self.reason = reason
        self.because_of = because_of


def expect(holds: bool, expected: str, found: object, *, at: str = "") -> None:  # noqa: FBT001 -- used like assert
    """Raise `Refuted` if ``holds`` is false; ``found`` is a text, or a value that is shown as JSON."""
    if not holds:
        raise Refuted(Failure(expected, found if isinstance(found, str) else shorten(found), at))
    if len(_HELD) < MOST_HELD:
        # A text says what was found in the words of a failure; only a value is true in both cases.
        _HELD.setdefault(expected, "" if isinstance(found, str) else found)


def clear_held() -> None:
    """Forget what held before; called before each test."""
    _HELD.clear()


def held() -> list[tuple[str, str]]:
    """Return the expectations of the running test that held, each with the found value or an empty text."""
    return [(expected, found if isinstance(found, str) else shorten(found)) for expected, found in _HELD.items()]


def shorten(value: object, chars: int = FOUND_CHARS) -> str:
    """Return a text in quotes, or another value as JSON, cut to a few lines."""
    text = repr(value) if isinstance(value, str | bytes) else format_json(value)
    return text if len(text) <= chars else f"{text[:chars]}… ({len(text)} characters)"


def render_failure(item: pytest.Item, failure: Failure) -> str:
    """Return the text of a failure with the id, tier and claim of its check."""
    found = check_of(item)
    claim = (found and found.claim) or claim_of(getattr(item, "function", None))
    return failure.text(found.id if found else item.name, failure.tier or (found.tier if found else "M"), claim)


def apply_outcome(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Set the outcome of a check that was refuted, was not judged, or ended by a fault of the suite."""
    error = call.excinfo.value if call.excinfo else None
    if isinstance(error, Refuted):
        report.user_properties.append((FAILURE, asdict(error.failure)))
        report.longrepr = f"{render_failure(item, error.failure)}\n{_place(item, error)}: refuted"
    elif isinstance(error, NotJudged):
        report.user_properties.append((NOT_JUDGED, {"reason": error.reason, "because_of": list(error.because_of)}))
        report.outcome = "skipped"
        report.longrepr = (str(item.path), item.location[1] or 0, f"Skipped: not judged: {error}")
    elif _is_fault_of_the_suite(item, call, report):
        report.user_properties.append((SUITE_FAULT, type(error).__name__))


def _place(item: pytest.Item, error: Exception) -> str:
    """Return file and line of the test where the claim was refuted, in the form that editors link."""
    trace, line = error.__traceback__, (item.location[1] or 0) + 1
    while trace:
        line = trace.tb_lineno if trace.tb_frame.f_code.co_filename == str(item.path) else line
        trace = trace.tb_next
    return f"{item.location[0]}:{line}"


def is_assertion(error: BaseException) -> bool:
    """Return whether an error of a check states something about the target; any other one is a fault of the suite."""
    return isinstance(error, Refuted | AssertionError | pytest.fail.Exception)


def _is_fault_of_the_suite(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> bool:
    unexpected = call.excinfo is not None and not is_assertion(call.excinfo.value)
    return report.failed and call.when == "call" and unexpected and check_of(item) is not None


def is_suite_fault(report: pytest.TestReport) -> bool:
    """Return whether a check ended by an exception that is no statement about the target."""
    return any(name == SUITE_FAULT for name, _ in report.user_properties)


def failure_tier(report: pytest.TestReport) -> str:
    """Return the tier of a failure, if it differs from the tier of its check; else an empty text."""
    failures = (value for name, value in report.user_properties if name == FAILURE and isinstance(value, dict))
    return next((str(value["tier"]) for value in failures), "")


def status_of(report: pytest.TestReport) -> Status | None:
    """Return the category of a check that was not judged, or that ended by a fault of the suite."""
    if report.skipped and any(name == NOT_JUDGED for name, _ in report.user_properties):
        return NOT_JUDGED, "n", ("NOT JUDGED", {"yellow": True})
    if report.when == "call" and report.failed and is_suite_fault(report):
        return "error", "E", ("ERROR", {"red": True})
    return None
