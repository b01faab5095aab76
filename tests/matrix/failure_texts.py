"""What a fault's failure says, without what differs from run to run, so that its text can be held."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from tests.fixtures.faults.fault import Fault, Told
from tests.matrix.in_process_runner import Asked, Outcome

_DIFFERS: Final = (
    (re.compile(r"\b\d+ different ids; more than once: .*"), "N different ids; more than once: IDS"),
    (re.compile(r"(127\.0\.0\.1|localhost|\[::1\]):\d+"), r"\1:PORT"),
    (re.compile(r"\bport \d+"), "port PORT"),
    (re.compile(r"\bpid \d+"), "pid PID"),
    (re.compile(r"\b(chatcmpl|cmpl|req|call)[-_]\w+"), r"\1-ID"),
    (re.compile(r"\b\d+ bytes after"), "N bytes after"),
    (re.compile(r"\b(sk|canary)-[\w-]+|\[hidden\]"), "KEY"),  # a report masks a key, a comparison does not
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b(?=\w*[a-f])(?=\w*\d)[0-9a-f]{12,}\b"), "ID"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?([+-]\d\d:?\d\d|Z)?"), "TIME"),
    (re.compile(r"\b1[5-9]\d{8}(\d{3})?\b"), "TIME"),  # seconds or milliseconds since 1970, of this century
    (re.compile(r"\b\d+(\.\d+)? ?(s|ms|seconds)\b"), r"N \2"),
    (re.compile(r"(/tmp|/var/folders|[A-Z]:\\)[^\s'\"]*"), "PATH"),
    (re.compile(r"\s+"), " "),
)


def stable(text: str) -> str:
    """A text in one line, without ports, ids, times and paths."""
    for pattern, replacement in _DIFFERS:
        text = pattern.sub(replacement, text)
    return text.strip()


def told_by(fault: Fault, found: Mapping[Asked, Outcome]) -> Told | None:
    """What the named check of a fault says, in the first of its rows that is red; None when none is."""
    for test, outcome in found.items():
        if test.check == fault.check and outcome.word == "failed":
            failure = outcome.failure
            return (
                Told(stable(failure.expected), stable(failure.found)) if failure else Told("", stable(outcome.reason))
            )
    return None
