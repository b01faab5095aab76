"""A target that never becomes ready is one clear error: told once in a run, and all that needed it is skipped."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from lumen_conformance.http.capture import Capture
from lumen_conformance.http.framing import quote_invalid
from lumen_conformance.run import Run, run_of
from lumen_conformance.targets.target import Target

_QUOTED = re.compile(r": (bytearray\()?b['\"].*", re.DOTALL)  # what the parser quotes, without a limit
EXPECTED = "expected 'HTTP/1.1 200 OK', header lines 'Name: value' and a blank line"


class NeverReady(Exception):  # noqa: N818 -- reads as what happened
    """No launch of the target has ever become ready in this run."""


@dataclass(frozen=True)
class Readiness:
    """What this run knows of its target, on all its workers: files in the folder that they share."""

    folder: Path

    @classmethod
    def of(cls, run: Run) -> Readiness:
        """That of a run."""
        return cls(run.folder)

    def proven(self) -> None:
        """The target was ready once: whatever fails later is no failure of the whole run."""
        (self.folder / "target-was-ready").touch()

    @property
    def is_proven(self) -> bool:
        """Whether it was ready once."""
        return (self.folder / "target-was-ready").exists()

    def refuted(self, error: Exception, told: str) -> Exception:
        """What to raise for a launch that did not become ready."""
        if self.is_proven:
            return error
        (self.folder / "target-never-ready").write_text(told, "utf-8")
        return NeverReady(told)

    def look(self) -> None:
        """Raise `NeverReady` when an earlier launch was not ready: the next would wait as long for nothing."""
        with contextlib.suppress(FileNotFoundError):
            raise NeverReady((self.folder / "target-never-ready").read_text("utf-8"))

    def is_first_to_tell(self) -> bool:
        """True once in a run."""
        try:
            (self.folder / "target-never-ready-told").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


def describe_answer(told: Capture) -> str:
    """What came instead of an answer that says ready, in one line."""
    reason = f"{told.ended}{f', {told.error}' if told.error else ''}"
    if told.status is not None:
        return f"status {told.status} ({reason})"
    if not told.raw:
        return f"nothing ({reason})"
    return f"no HTTP response ({_QUOTED.sub('', reason)}): received {quote_invalid(told.raw_head)}, {EXPECTED}"


def describe_end(status: int | None, last_line: str) -> str:
    """How a server ended that was never ready, in one line without what to do."""
    return f"your server ended with exit status {status} before it was ready: {last_line or 'it has printed nothing'}"


def advise_command(target: Target) -> str:
    """What to check of the command of a foreign target; empty for our own."""
    if not target.foreign:
        return ""
    named = any("{port}" in word for word in (*target.command, *(value for _, value in target.variables)))
    return "; check --proxy-command" + ("" if named else ", which has no {port}: the port is in PROXY_PORT only")


def outcome_of(item: pytest.Item, error: NeverReady) -> BaseException:
    """The first test that needed the target is the ERROR; the others are skipped."""
    if Readiness.of(run_of(item.config)).is_first_to_tell():
        return pytest.fail.Exception(f"the target never became ready: {error}", pytrace=False)
    return pytest.skip.Exception("the target never became ready; the one ERROR of this run says why")
