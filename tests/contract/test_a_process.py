"""A: the process under test: whoever is ready is ours, an early end is told at once, nothing stays behind.

These are about launches, so the matrix, whose targets live in one process, leaves them out; what turns them red is in
`tests/unit/test_targets_process.py`.
"""

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.contract.talking import Talk
from tests.fixtures.gateway import Gateway
from tests.fixtures.observations import can_be_bound
from tests.fixtures.processes import Launched, Launches
from tests.fixtures.report.checks import check
from tests.fixtures.run import Run
from tests.fixtures.targets import Target
from tests.fixtures.unready import Readiness
from tests.fixtures.waiting import Died

pytestmark = [pytest.mark.needs("launch"), pytest.mark.process]

AT_ONCE_S = 10.0  # a start of the interpreter takes a fraction of a second, the wait for readiness would be a minute
WORDS = "the last words"


@check("A1")
def test_ready_is_ours(talk: Talk) -> None:
    """Whoever is ready is a live child that answers 200, and the process that answers is ours."""
    proxy = talk.proxy
    assert isinstance(proxy, Launched)
    health = proxy.health()
    assert proxy.exit_status() is None
    assert health.ready
    assert proxy.listeners()
    assert proxy.ready is None or health.instance == proxy.ready.instance


@pytest.mark.parametrize("status", [0, 3])
@check("A2")
def test_early_exit(status: int, run: Run, target: Target, tmp_path: Path) -> None:
    """An exit before readiness, exit code 0 included, fails at once with the exit code and the end of its log."""
    dying = replace(target, command=(sys.executable, "-c", f"print({WORDS!r}, flush=True); raise SystemExit({status})"))
    start_s = time.monotonic()
    with Launches(run, dying, tmp_path / "launch") as launches, pytest.raises(Died) as died:
        launches()
    assert time.monotonic() - start_s < AT_ONCE_S
    assert f"exit status {status}" in str(died.value)
    assert WORDS in str(died.value).partition("end of")[2]


@pytest.fixture
def ended(run: Run, target: Target, echoing: Gateway, tmp_path: Path) -> Iterator[Launched]:
    """A launch that has answered once and was asked to stop."""
    with Launches(run, target, tmp_path / "launch", readiness=Readiness.of(run)) as launches:
        launched = launches(gateway=echoing)
        launched.chat("안녕")
        launched.end()
        yield launched


@check("A3")
def test_nothing_stays_behind(ended: Launched) -> None:
    """After the test no process of the launch is left, its port is free, and its output went to files."""
    assert ended.ending is not None
    assert ended.ending.orphans == ()
    assert ended.ref.state() == "gone"
    assert can_be_bound(ended.port)
    assert [path.is_file() for path in (ended.stdout, ended.stderr)] == [True, True]
