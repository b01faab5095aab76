"""The text of a failure without what differs between runs: ports, ids, times, paths."""

from __future__ import annotations

import re
from typing import Final

from tests.fixtures.faults.fault import FailureText, Fault
from tests.matrix.fault_run import Outcomes

_DIFFERS: Final = (
    (re.compile(r"\b\d+ different ids; more than once: .*"), "N different ids; more than once: IDS"),
    (re.compile(r"(127\.0\.0\.1|localhost|\[::1\]):\d+"), r"\1:PORT"),
    (re.compile(r"\bport \d+"), "port PORT"),
    (re.compile(r"\bpid \d+"), "pid PID"),
    (re.compile(r"\b(chatcmpl|cmpl|req|call)[-_]\w+"), r"\1-ID"),
    (re.compile(r"\b(lumen-gateway|gpt-4o-mini)-\d+"), r"\1-N"),  # of a fault that counts its answers
    (re.compile(r"\b\d+ bytes after"), "N bytes after"),
    (re.compile(r"\bclient \d+ got"), "client N got"),
    (re.compile(r"\b(sk|canary)-[\w-]+|\[hidden\]"), "KEY"),  # a report masks a key, a comparison does not
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b(?=\w*[a-f])(?=\w*\d)[0-9a-f]{12,}\b"), "ID"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?([+-]\d\d:?\d\d|Z)?"), "TIME"),
    (re.compile(r"\b1[5-9]\d{8}(\d{3})?\b"), "TIME"),  # seconds or milliseconds since 1970, of this century
    (re.compile(r"\b\d+(\.\d+)? ?(s|ms|seconds)\b"), r"N \2"),
    (re.compile(r"(/tmp|/var/folders|[A-Z]:\\)[^\s'\"]*"), "PATH"),
    (re.compile(r"\s+"), " "),
)


def stable(text: str) -> str:
    """A text in one line, without ports, ids, times and paths; half of a surrogate pair is escaped, as in the file."""
    text = text.encode("utf-8", "backslashreplace").decode()
    for pattern, replacement in _DIFFERS:
        text = pattern.sub(replacement, text)
    return text.strip()


def failure_text(fault: Fault, outcomes: Outcomes) -> FailureText | None:
    """The failure of the check that names a fault, of its first row that failed; None when none failed."""
    for test, outcome in outcomes.items():
        if test.check == fault.check and outcome.word == "failed":
            failure = outcome.failure
            expected, found = (failure.expected, failure.found) if failure else ("", outcome.reason)
            return FailureText(stable(expected), stable(found))
    return None
