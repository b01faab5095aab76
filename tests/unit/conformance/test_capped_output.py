"""The output of a foreign server neither fills the disk nor blocks it: a log keeps its beginning and its end."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lumen_conformance.processes import capped_output
from lumen_conformance.processes.capped_output import KEPT_BYTES, LOG_BYTES, CappedOutput
from lumen_conformance.run import Run
from lumen_conformance.targets.launch import Launcher
from lumen_conformance.targets.target import FOREIGN_START_S, Target
from tests.unit.conformance import plain_server

FLOOD_BYTES = plain_server.FLOOD_LINES * len(plain_server.LINE)
LEFT_OUT = re.compile(rb"\n\[(\d+) bytes of output are left out (here|in the middle of this log)\]\n")
SETTLED_S = 10.0  # a pipe is read within milliseconds; the rest is for a machine under load
LOOKS = 20


def foreign(mode: str) -> Target:
    """The plain server as a foreign target, with the time that such a target has by default.

    200 MB through a pipe of 64 kB are 3,000 turns of two processes: 10 s were seen beside twenty busy ones.
    """
    command = (sys.executable, plain_server.__file__, "{port}", mode)
    can = frozenset({"health", "launch"})
    return Target(command=command, can=can, foreign=True, start_s=FOREIGN_START_S)


def test_a_flood_is_cut(run: Run, tmp_path: Path) -> None:
    """Of 200 MB that a server prints before it is ready, the first and the last lines are kept."""
    with Launcher(run, foreign("floods"), tmp_path) as launches:
        server = launches()
        assert server.health().ready
        assert server.stdout.stat().st_size <= LOG_BYTES
    log = server.stdout.read_bytes()
    assert len(log) <= LOG_BYTES
    assert log.startswith(b"the word is None\n")
    assert b"\nthe flood ends here\n" in log[-200:]
    (here, _), (reported, _) = LEFT_OUT.findall(log)
    kept = LEFT_OUT.sub(b"", log)
    assert len(kept) + int(here) == len(b"the word is None\nthe flood ends here\n") + FLOOD_BYTES
    assert here == reported
    assert len(kept) >= 2 * KEPT_BYTES - len(plain_server.LINE)


def test_an_endless_log_stops_nobody(run: Run, tmp_path: Path) -> None:
    """A server that prints without end becomes ready, answers, and is ended; its log stays below its limit."""
    with Launcher(run, foreign("endless"), tmp_path) as launches:
        server = launches()
        for _ in range(LOOKS):
            assert server.health().ready
            assert server.stdout.stat().st_size <= LOG_BYTES
        assert not server.end().forced
    assert server.stdout.stat().st_size <= LOG_BYTES


def test_the_last_output_is_reported(run: Run, tmp_path: Path) -> None:
    """The log of a server that has ended is complete when its end is reported."""
    target = Target(command=(sys.executable, "-c", "print('no license')"), can=frozenset({"launch"}), foreign=True)
    with Launcher(run, target, tmp_path) as launches:
        server = launches(ready=False)
        server.wait_exit(SETTLED_S)
        assert "no license" in (server.end_reason() or "")


def test_a_process_that_holds_the_pipe_delays_nobody(tmp_path: Path) -> None:
    """A process that holds a pipe does not delay a wait for the end of the output beyond its limit."""
    output = CappedOutput(tmp_path / "log")
    began_s = time.monotonic()
    output.wait_end(0.1)
    assert time.monotonic() - began_s < 2
    output.writer.close()
    output.wait_end(SETTLED_S)


PIECES = st.lists(st.binary(max_size=60) | st.sampled_from([b"\n", b"a\n" * 30, b"b" * 100]), max_size=30)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs of 600 bytes."""
    monkeypatch.setattr(capped_output, "KEPT_BYTES", 100)
    monkeypatch.setattr(capped_output, "LOG_BYTES", 600)
    monkeypatch.setattr(capped_output, "READ_BYTES", 50)


@pytest.mark.usefixtures("small")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(PIECES)
def test_the_begin_and_the_end_are_kept(tmp_path: Path, pieces: list[bytes]) -> None:
    """A log has the whole output, or its beginning, its end and the size of the rest."""
    output = CappedOutput(tmp_path / "log")
    for piece in pieces:
        output.writer.write(piece)
    output.writer.close()
    output.wait_end(SETTLED_S)
    log, printed = (tmp_path / "log").read_bytes(), b"".join(pieces)
    assert len(log) <= capped_output.LOG_BYTES
    if len(printed) <= capped_output.LOG_BYTES - capped_output.MARK_BYTES:
        assert log == printed
        return
    found = re.fullmatch(rb"(.*)\n\[(\d+) bytes .* here\]\n(.*)\n\[\2 bytes .* log\]\n", log, re.DOTALL)
    assert found
    assert printed.startswith(found[1])
    assert printed.endswith(found[3])
    assert len(found[1]) + int(found[2]) + len(found[3]) == len(printed)
