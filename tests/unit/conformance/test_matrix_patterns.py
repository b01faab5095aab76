"""Companions are written as few readable patterns that match exactly the failed checks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.fixtures.faults.fault import failures, matches
from tests.matrix.failure_texts import stable
from tests.matrix.patterns import patterns_for
from tests.matrix.snapshot import failures_text

FIELDS = ("temperature-low", "temperature-high", "temperature-string", "n-zero", "n-string", "stop-list", "user-null")
EVERY = ("C2.5", "C5.2", *(name for each in FIELDS for name in (f"F2-{each}", f"F2-{each}-param")), "G5-quotes")


@given(st.sets(st.sampled_from(EVERY)))
def test_patterns_match_the_failed_checks(red: set[str]) -> None:
    """The patterns match the failed checks and no other."""
    patterns = patterns_for(red, EVERY)
    assert {check for check in EVERY if matches(check, patterns)} == red


def test_whole_tables_are_one_pattern() -> None:
    """A table that fails as a whole, or in all rows of a kind, is one pattern; a few exceptions are excluded."""
    table = {check for check in EVERY if check.startswith("F2-")}
    fields = {check for check in table if not check.endswith("-param")}
    assert patterns_for(table, EVERY) == ("F2-*",)
    assert patterns_for(fields, EVERY) == ("F2-*", "!F2-*-param")
    assert patterns_for(table - fields, EVERY) == ("F2-*-param",)
    assert patterns_for({*table, "C2.5"} - {"F2-user-null"}, EVERY) == ("C2.5", "F2-*", "!F2-user-null")


def test_two_checks_are_written_out() -> None:
    """Two checks are listed, so that no pattern matches a later check by chance."""
    assert patterns_for({"F2-n-zero", "F2-n-zero-param"}, EVERY) == ("F2-n-zero", "F2-n-zero-param")


def test_texts_are_stable() -> None:
    """Ports, ids, times and line ends are replaced; a status stays."""
    said = "status 502 of 127.0.0.1:41231,\n chatcmpl-8f3a at 2026-11-28T14:00:01Z, 1795878716, after 0.41 s (pid 77)"
    assert stable(said) == "status 502 of 127.0.0.1:PORT, chatcmpl-ID at TIME, TIME, after N s (pid PID)"


def test_failures_are_read_as_written() -> None:
    """Failures are read as they are written, empty texts too."""
    text = "# head\n\n[one]\nexpected: an id\nfound: \n\n[two]\nexpected: a\nfound: [b]\n"
    read = failures(text)
    assert {name: tuple(text) for name, text in read.items()} == {"one": ("an id", ""), "two": ("a", "[b]")}
    assert failures_text({"no-such-fault": read["one"]}) == ""
