"""A process that comes and goes replaces nobody; a process that stays does, whether it answers or not."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.fixtures.processes import Launches
from tests.fixtures.recoveries import Recovery, recover
from tests.fixtures.run import Run
from tests.fixtures.targets import Target

pytestmark = pytest.mark.skipif(os.name == "nt", reason="this server forks, which Windows cannot")
WITHIN_S = 2.0  # helpers come and go meanwhile; the replacement of a worker is there within milliseconds
PREFORK = (sys.executable, "-m", "tests.fixtures.foreign.prefork", "{host}", "{port}")


@pytest.fixture
def recovery_of(run: Run, tmp_path: Path) -> Iterator[Callable[[str], Recovery]]:
    """A factory: what follows the kill of the workers of a server with this fault."""
    with ExitStack() as stack:

        def recovery(fault: str) -> Recovery:
            can = frozenset({"health", "launch", "restart"})
            target = Target(command=(*PREFORK, fault), can=can, foreign=True)
            return recover(stack.enter_context(Launches(run, target, tmp_path / "launch"))(), WITHIN_S)

        yield recovery


def test_helpers_replace_nobody(recovery_of: Callable[[str], Recovery]) -> None:
    """Short processes of a supervisor that restarts nothing are named, and are no replacement."""
    recovery = recovery_of("only-helpers")
    assert (recovery.replaced, recovery.replaced_s, recovery.answered_s) == ((), None, None)
    assert recovery.passing
    assert "; new processes that ended again: pid " in recovery.wait("a new process")


@pytest.mark.parametrize("fault", ["never-answers", "leaves-port"])
def test_a_replacement_that_stays(recovery_of: Callable[[str], Recovery], fault: str) -> None:
    """A new process that stays is a replacement, though it never answers on the port."""
    recovery = recovery_of(fault)
    assert recovery.replaced
    assert recovery.replaced_s is not None
    assert (recovery.answered_s, recovery.passing) == (None, ())


def test_a_replacement_that_answers(recovery_of: Callable[[str], Recovery]) -> None:
    """A new process that answers ends the watch at once."""
    recovery = recovery_of("")
    assert recovery.replaced
    assert recovery.answered_s is not None
    assert recovery.waited_s < WITHIN_S
