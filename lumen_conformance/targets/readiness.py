"""A target that never becomes ready is one error of a run; the other tests that need it are skipped."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from lumen_conformance.http.capture import Capture, Ended
from lumen_conformance.http.framing import quote_invalid
from lumen_conformance.registry.option_table import spelled
from lumen_conformance.run import Run, run_of
from lumen_conformance.targets.target import Target

_QUOTED = re.compile(r": (bytearray\()?b['\"].*", re.DOTALL)  # the parser quotes bytes without a limit
EXPECTED = "expected 'HTTP/1.1 200 OK', header lines 'Name: value' and a blank line"


class NeverReady(Exception):  # noqa: N818 -- reads as what happened
    """No launch of the target has become ready in this run."""


@dataclass(frozen=True)
class Readiness:
    """Whether the target was ready in this run: files in the folder that all workers share."""

    folder: Path

    @classmethod
    def of(cls, run: Run) -> Readiness:
        """Return the record of a run."""
        return cls(run.folder)

    def record_ready(self) -> None:
        """Record that the target was ready once: a later failure is not one of the whole run."""
        (self.folder / "target-was-ready").touch()

    @property
    def is_ready(self) -> bool:
        """Whether it was ready once."""
        return (self.folder / "target-was-ready").exists()

    def record_failure(self, error: Exception, message: str) -> Exception:
        """Record a launch that did not become ready; return the exception to raise."""
        if self.is_ready:
            return error
        (self.folder / "target-never-ready").write_text(message, "utf-8")
        return NeverReady(message)

    def raise_failure(self) -> None:
        """Raise `NeverReady` when an earlier launch did not become ready: the next would wait as long in vain."""
        with contextlib.suppress(FileNotFoundError):
            raise NeverReady((self.folder / "target-never-ready").read_text("utf-8"))

    def is_first_report(self) -> bool:
        """Return True once in a run."""
        try:
            (self.folder / "target-never-ready-reported").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


NO_ANSWER: Final[Mapping[Ended, str]] = {  # how an exchange without any byte of an answer ended
    "refused": "no program listens on this port",
    "timeout": "the connection was open, and nothing came in time",
    "aborted": "the connection was closed without an answer",
    "reset": "the connection was reset without an answer",
    "unreachable": "the address cannot be reached",
}


def describe_answer(answer: Capture) -> str:
    """Return in one line what came instead of an answer that says ready."""
    reason = f"{answer.ended}{f', {answer.error}' if answer.error else ''}"
    if answer.status is not None:
        return f"answered with status {answer.status} ({reason})"
    if not answer.raw:
        detail = f" ({answer.error})" if answer.error else ""
        return f"not answered: {NO_ANSWER.get(answer.ended, answer.ended)}{detail}"
    received = f"received {quote_invalid(answer.raw_head)}, {EXPECTED}"
    return f"answered with no HTTP response ({_QUOTED.sub('', reason)}): {received}"


def describe_end(status: int | None, last_line: str) -> str:
    """Return in one line how a server ended before it was ready."""
    return f"your server ended with exit status {status} before it was ready: {last_line or 'it has printed nothing'}"


def advise_command(target: Target) -> str:
    """Return what to check in the command of a foreign target; empty for our own proxy."""
    if not target.foreign:
        return ""
    named = any("{port}" in word for word in (*target.command, *(value for _, value in target.variables)))
    return f"; check {spelled('command')}" + ("" if named else ", which has no {port}: the port is in PROXY_PORT only")


def outcome_of(item: pytest.Item, error: NeverReady) -> BaseException:
    """Return the outcome of a test that needs the target: the first one is an ERROR, the others are skipped."""
    if Readiness.of(run_of(item.config)).is_first_report():
        return pytest.fail.Exception(f"the target never became ready: {error}", pytrace=False)
    return pytest.skip.Exception("the target never became ready; the one ERROR of this run says why")
