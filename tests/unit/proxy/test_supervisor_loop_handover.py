"""The state table of the loop while a port is handed over: the old supervisor, and the new one."""

from __future__ import annotations

import signal
import socket
from pathlib import Path
from unittest.mock import Mock

import pytest

from lumen_proxy.errors import Exit
from lumen_proxy.ipc import Drained, Imported, Ready
from lumen_proxy.supervisor.offer import Commit, Left, Successor, TakeOver
from lumen_proxy.supervisor.predecessor import Cancelled, Predecessor
from lumen_proxy.supervisor.states import State
from tests.unit.proxy.loop_stage import Stage

NEW = Successor(Mock(spec=socket.socket), "new", 4242)


@pytest.fixture
def old(tmp_path: Path) -> Stage:
    """A supervisor whose first worker boots."""
    return Stage(tmp_path)


@pytest.fixture
def predecessor() -> Mock:
    """The supervisor that owns the port of `new`."""
    return Mock(spec=Predecessor)


@pytest.fixture
def new(tmp_path: Path, predecessor: Mock) -> Stage:
    """A supervisor that takes a port over; its worker boots."""

    class New(Stage):
        predecessor: Predecessor | None

    New.predecessor = predecessor
    return New(tmp_path)


def test_a_new_supervisor_gets_the_sockets(old: Stage) -> None:
    """A take over changes nothing, and a stop afterwards withdraws the offer."""
    old.serve()
    assert old.feed(TakeOver(NEW)) is State.SERVING
    old.offer.give.assert_called_once_with(NEW)
    old.feed(signal.SIGTERM)
    old.offer.withdraw.assert_called_once_with()


def test_a_supervisor_that_ends_gives_nothing(old: Stage) -> None:
    """While it drains, a supervisor refuses a take over and ignores a commit."""
    old.serve()
    old.feed(signal.SIGTERM)
    assert old.feed(TakeOver(NEW)) is State.DRAINING
    old.offer.refuse.assert_called_once_with(NEW)
    assert old.feed(Commit(NEW)) is State.DRAINING
    old.offer.release.assert_not_called()


def test_a_commit_hands_over(old: Stage) -> None:
    """A commit is written to the journal, the worker drains without new connections, and the exit status is 0."""
    old.serve()
    assert old.feed(Commit(NEW)) is State.HANDED_OVER
    assert {"event": "handed_over", "to_instance": "new", "to_pid": 4242}.items() <= old.written()[-1].items()
    old.offer.release.assert_called_once_with(NEW)
    assert old.worker.commands[-1] == "drain 30 handed over"
    old.send(Drained(0))
    assert old.exit(0) is State.STOPPED
    assert old.loop.exit_status is Exit.OK


def test_only_the_new_supervisor_that_has_the_sockets_commits(old: Stage) -> None:
    """A commit of another one, such as one that was refused, changes nothing."""
    old.serve()
    old.offer.has_given.return_value = False
    assert old.feed(Commit(NEW)) is State.SERVING
    old.offer.has_given.assert_called_once_with(NEW)
    old.offer.release.assert_not_called()


@pytest.mark.parametrize("cut", [True, False])
def test_a_handover_has_a_deadline(old: Stage, cut: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """A worker that does not drain in time is killed: 70, unless it has said that nothing was cut."""
    old.serve()
    old.feed(Commit(NEW))
    if not cut:
        old.send(Drained(0))
    assert old.feed() is State.ENDING
    old.exit(-9)
    assert old.loop.exit_status is (Exit.SOFTWARE if cut else Exit.OK)


def test_a_stop_does_not_cut_what_was_handed_over(old: Stage) -> None:
    """The first stop signal after a commit is the request of a drain, which runs already; the second one kills."""
    old.serve()
    old.feed(Commit(NEW))
    deadline = old.loop.deadline
    assert old.feed(signal.SIGTERM) is State.DRAINING
    assert old.loop.deadline == deadline
    assert "kill" not in old.worker.commands
    assert old.feed(signal.SIGTERM) is State.ENDING


@pytest.mark.parametrize("is_waiting", [True, False])
def test_a_commit_without_a_serving_worker(old: Stage, is_waiting: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """A supervisor whose worker does not serve ends at once, with 0."""
    if is_waiting:
        old.exit(-9)
    else:
        old.send(Imported(100))
    state = old.feed(Commit(NEW))
    if not is_waiting:
        assert old.worker.commands[-1] == "kill"
        state = old.exit(-9)
    assert (state, old.loop.exit_status) == (State.STOPPED, Exit.OK)


@pytest.mark.parametrize("has_failed", [True, False])
def test_a_new_supervisor_that_fails_is_named(old: Stage, has_failed: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """If the connection ends before the commit, a line says that the old proxy keeps serving."""
    old.serve()
    old.offer.forget.return_value = has_failed
    assert old.feed(Left(NEW)) is State.SERVING
    assert [line for line in old.notices if "keeps serving" in line and "4242" in line] == old.notices[:has_failed]


def test_the_new_supervisor_commits_when_its_worker_serves(new: Stage, predecessor: Mock) -> None:
    """The commit follows the first ready, then the state file, then the end of the connection; it is sent once."""
    published: list[list[int]] = []

    def look() -> bool:
        published.append(list(new.observer.generations))
        return True

    predecessor.commit.side_effect = predecessor.close.side_effect = look
    new.serve()
    assert published == [[], [1]]
    new.offer.open.assert_called_once_with()
    new.exit(-9)
    new.feed()
    new.serve()
    assert predecessor.commit.call_count == 1


@pytest.mark.parametrize("status", [-9, 0, 69, 70])
def test_a_new_supervisor_whose_worker_fails_ends(new: Stage, status: int) -> None:
    """Until the commit no exit of the worker is followed by a restart: a permanent status is passed on, else 70."""
    new.send(Imported(100))
    assert new.exit(status) is State.STOPPED
    assert new.loop.exit_status == (69 if status == 69 else 70)
    assert len(new.workers) == 1


def test_a_new_supervisor_whose_worker_hangs_ends(new: Stage) -> None:
    """A worker that is not ready in time is killed, and the new supervisor ends with 70."""
    assert new.feed() is State.KILLED
    assert new.exit(-9) is State.STOPPED
    assert new.loop.exit_status is Exit.SOFTWARE


@pytest.mark.parametrize("at", ["boot", "promotion", "commit"])
def test_a_stop_of_the_old_supervisor_cancels(new: Stage, predecessor: Mock, at: str) -> None:
    """If the old supervisor is stopped before the commit, the new one kills its worker and ends with 70."""
    predecessor.commit.return_value = False
    if at != "boot":
        new.send(Imported(100))
    assert (new.send(Ready()) if at == "commit" else new.feed(Cancelled())) is State.ENDING
    assert new.worker.commands[-1] == "kill"
    assert new.exit(-9) is State.STOPPED
    assert new.loop.exit_status is Exit.SOFTWARE
    assert new.observer.generations == []


def test_a_stop_of_the_old_supervisor_after_the_commit_changes_nothing(new: Stage) -> None:
    """The message crosses the commit: the new supervisor owns the port and keeps it, even while its worker boots."""
    new.serve()
    new.exit(-9)
    assert new.feed() is State.BOOTING
    assert new.feed(Cancelled()) is State.BOOTING
