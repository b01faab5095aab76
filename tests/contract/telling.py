"""A failed assertion is told as a judge tells a broken claim: expected, found, first bytes, how to repeat it."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.fixtures.captured import WITNESS, Capture
from tests.fixtures.curl import body_file
from tests.fixtures.judges.verdict import Verdict, excerpt
from tests.fixtures.report.checks import check_of, claim_of
from tests.fixtures.report.measuring import record_evidence
from tests.fixtures.run import RUN, run_of

LAST_EXCHANGE = "last exchange"
SHOWN_BYTES = 2_000  # of an answer in a report
SHOWN_CHARS = 300  # of a value: a few lines
REFUTED = (AssertionError, LookupError, ValueError, TypeError, AttributeError)  # what reading an odd answer ends with
WORDS = {"==": "", "!=": "anything but ", "<": "less than ", "<=": "at most ", ">": "more than ", ">=": "at least ",
         "in": "one of ", "not in": "none of ", "is": "", "is not": "anything but "}  # fmt: skip


class Compared(NamedTuple):
    """What an assertion has compared; by the habit of the house its right side is what is expected."""

    op: str
    left: object
    right: object

    @property
    def told(self) -> tuple[str, str]:
        """Expected and found."""
        if self.op == "in" and isinstance(self.right, str | bytes):
            return f"{_short(self.left)} in it", _short(self.right)
        return f"{WORDS.get(self.op, f'{self.op} ')}{_short(self.right)}", _short(self.left)


def broken(item: pytest.Item, error: Exception, compared: Compared | None) -> Verdict:
    """What a test has found, in the form of a judge."""
    found, seen = check_of(item), WITNESS.last
    claim = (found and found.claim) or claim_of(getattr(item, "function", None))
    said = str(error).partition("\nassert ")[0]  # the message of an assertion stands before its comparison
    words = said if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
    sides = compared.told if compared and isinstance(error, AssertionError) else (claim, _short_words(words))
    return Verdict(
        check=found.id if found else item.name,
        tier=found.tier if found else "M",
        claim=claim.rstrip("."),
        ok=False,
        expected=sides[0],
        found=sides[1],
        path=_place(item, error),
        excerpt=f"{excerpt(seen.body, None)} (status {seen.status}, {seen.ended})" if seen else "",
        curl=seen.curl() if seen else "",
    )


def exchange_told(seen: Capture) -> str:
    """How a request is repeated, and how it was answered."""
    answer = (seen.raw_head + seen.body[:SHOWN_BYTES]).decode("utf-8", errors="backslashreplace")
    trouble = f", {seen.error}" if seen.error else ""
    return f"{seen.curl()}\n\n{answer}\n({seen.ended}{trouble}, {len(seen.body)} bytes)"


def with_body(item: pytest.Item, seen: Capture | None, text: str) -> str:
    """The text, and the file that it names for a body that is too long for a command line: kept as evidence."""
    name = body_file(seen.request_body) if seen and RUN in item.config.stash else ""
    if not (seen and name and f"@{name}" in text):
        return text
    path = run_of(item.config).folder / name
    path.write_bytes(seen.request_body)
    record_evidence(item, path)
    return text.replace(f"@{name}", f"@{path}")


def _short(value: object) -> str:
    if isinstance(value, Collection) and not isinstance(value, str | bytes) and len(value) == 1:
        value = next(iter(value))
    return _short_words(repr(value))


def _short_words(text: str) -> str:
    first = re.sub(r"\s+", " ", text[: SHOWN_CHARS * 4])
    return first if len(first) <= SHOWN_CHARS else f"{first[:SHOWN_CHARS]}… ({len(text)} characters)"


def _place(item: pytest.Item, error: Exception) -> str:
    """The line of the test that failed."""
    trace, line = error.__traceback__, 0
    while trace:
        line = trace.tb_lineno if trace.tb_frame.f_code.co_filename == str(item.path) else line
        trace = trace.tb_next
    return f"{Path(item.path).relative_to(item.config.rootpath).as_posix()}:{line}"
