"""The two ends of a handover: an offer and the supervisor that takes the port over, over a real Unix socket."""

from __future__ import annotations

import fcntl
import os
import queue
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from lumen_proxy import platform
from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.supervisor import handover_socket, instance_lock, listener, predecessor
from lumen_proxy.supervisor.handover_socket import is_offered, socket_path
from lumen_proxy.supervisor.instance_lock import FileLock
from lumen_proxy.supervisor.listener import Listener
from lumen_proxy.supervisor.offer import Commit, Left, Offer, OfferEvent, TakeOver
from lumen_proxy.supervisor.predecessor import Cancelled, Predecessor

pytestmark = pytest.mark.skipif(not platform.can_pass_descriptors(), reason="needs sockets that pass descriptors")

E = TypeVar("E", TakeOver, Commit, Left)

SOON_S = 10.0  # each step takes milliseconds; the rest is for a busy machine
TAKE = (
    "import pathlib, sys; from lumen_proxy.supervisor import predecessor; "
    "old = predecessor.take(pathlib.Path(sys.argv[1]), int(sys.argv[2]), 'new'); print('taken', flush=True); "
    "sys.stdin.read()"
)


class Old:
    """An instance that offers its port, without a loop."""

    def __init__(self, state_dir: Path) -> None:
        state_dir.mkdir(parents=True, exist_ok=True)
        self.state_dir = state_dir
        self.bound: Listener = listener.bind("127.0.0.1", 0)
        self.lock: FileLock = instance_lock.claim(state_dir, self.bound.port)
        self.events: queue.SimpleQueue[OfferEvent] = queue.SimpleQueue()
        self.path = socket_path(state_dir, self.bound.port)
        self.offer = Offer(self.path, self.bound, self.lock, "old", self.events.put)
        self.offer.open()

    def take(self) -> Predecessor:
        """Let a new supervisor in this process take the port over."""
        results: queue.SimpleQueue[Predecessor] = queue.SimpleQueue()

        def run() -> None:
            results.put(predecessor.take(self.state_dir, self.bound.port, "new"))

        threading.Thread(target=run, daemon=True).start()
        self.offer.give(self.wait_for(TakeOver).successor)
        return results.get(timeout=SOON_S)

    def is_lock_free(self) -> bool:
        """True if another process could take the lock."""
        with instance_lock.lock_path(self.state_dir, self.bound.port).open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

    def wait_for(self, kind: type[E]) -> E:
        """The next event, which must be of this kind."""
        event = self.events.get(timeout=SOON_S)
        assert isinstance(event, kind)
        return event


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Old]:
    """An instance that offers its port."""
    one = Old(tmp_path / "state")
    yield one
    one.offer.close()
    one.bound.close()
    one.lock.release()


def release(old: Old) -> None:
    """Answer the commit of the new supervisor."""
    old.offer.release(old.wait_for(Commit).successor)


def drop(new: Predecessor) -> None:
    """Close what the new supervisor has, as at its end."""
    new.close()
    new.listener.close()
    new.lock.release()


def test_a_port_is_taken_over(old: Old) -> None:
    """The new supervisor accepts on the sockets and owns the lock, which is free only when the new one releases it."""
    new = old.take()
    new.watch(lambda _: None)
    with socket.create_connection(("127.0.0.1", old.bound.port)):
        new.listener.sockets[0].accept()[0].close()
    threading.Thread(target=release, args=(old,), daemon=True).start()
    assert new.commit()
    assert (old.lock.is_owner, new.lock.is_owner) == (False, True)
    new.close()
    assert not old.offer.forget(old.wait_for(Left).successor)
    assert old.lock.fileno() < 0
    assert not old.is_lock_free()
    drop(new)
    assert not instance_lock.lock_path(old.state_dir, old.bound.port).exists()


def test_a_new_supervisor_that_dies_changes_nothing(old: Old) -> None:
    """After the death of a new supervisor that had everything, the old one owns the lock and the port."""
    command = [sys.executable, "-c", TAKE, str(old.state_dir), str(old.bound.port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as new:
        old.offer.give(old.wait_for(TakeOver).successor)
        assert new.stdout is not None
        assert new.stdout.readline() == "taken\n"
        new.kill()
    assert old.offer.forget(old.wait_for(Left).successor)
    assert old.lock.is_owner
    assert not old.is_lock_free()
    with socket.create_connection(("127.0.0.1", old.bound.port)):
        old.bound.sockets[0].accept()[0].close()
    drop(old.take())


def test_a_new_supervisor_goes_on_without_the_old_one(old: Old) -> None:
    """If the old supervisor dies after it gave the sockets, the commit succeeds."""
    new = old.take()
    cancelled: list[Cancelled] = []
    new.watch(cancelled.append)
    assert old.offer._successor  # noqa: SLF001 - its process is this one
    old.offer._successor._connection.shutdown(socket.SHUT_RDWR)  # noqa: SLF001 - same
    assert new.commit()
    assert not cancelled
    drop(new)


def test_a_stop_of_the_old_supervisor_cancels(old: Old) -> None:
    """A supervisor that is stopped tells the new one, whose commit fails and which changes no file."""
    new = old.take()
    cancelled: queue.SimpleQueue[Cancelled] = queue.SimpleQueue()
    new.watch(cancelled.put)
    old.offer.withdraw()
    assert cancelled.get(timeout=SOON_S) == Cancelled()
    assert not new.commit()
    assert not new.lock.is_owner
    drop(new)


def test_a_stop_of_the_old_supervisor_after_the_commit_is_not_sent(old: Old) -> None:
    """The new supervisor owns the port after the commit, whatever happens to the old one."""
    new = old.take()
    cancelled: list[Cancelled] = []
    new.watch(cancelled.append)
    threading.Thread(target=release, args=(old,), daemon=True).start()
    assert new.commit()
    old.offer.withdraw()
    assert old.offer._successor  # noqa: SLF001 - its process is this one
    old.offer._successor._connection.shutdown(socket.SHUT_WR)  # noqa: SLF001 - same
    assert new._replies.get(timeout=SOON_S) == "ended"  # noqa: SLF001 - the end of what the old one has sent
    assert cancelled == []
    drop(new)


def test_one_new_supervisor_at_a_time(old: Old) -> None:
    """A second new supervisor gets nothing, and the first one is not disturbed."""
    first = old.take()
    refused: queue.SimpleQueue[Fatal] = queue.SimpleQueue()

    def take() -> None:
        with pytest.raises(Fatal) as problem:
            predecessor.take(old.state_dir, old.bound.port, "second")
        refused.put(problem.value)

    threading.Thread(target=take, daemon=True).start()
    second = old.wait_for(TakeOver).successor
    old.offer.give(second)
    assert refused.get(timeout=SOON_S).exit_status is Exit.SOFTWARE
    assert not old.offer.has_given(second)
    assert not old.offer.forget(old.wait_for(Left).successor)
    drop(first)


def test_the_socket_is_private(old: Old) -> None:
    """The socket has mode 0600, and only the owner of the lock removes it."""
    assert stat.S_IMODE(old.path.stat().st_mode) == 0o600
    old.lock.is_owner = False
    old.offer.close()
    assert old.path.exists()
    old.lock.is_owner = True
    old.offer.open()
    old.offer.close()
    assert not old.path.exists()


def test_a_socket_that_cannot_be_removed_does_not_disturb_the_end(old: Old) -> None:
    """The folder may have become read-only, or another program has put something else at the path."""
    old.path.unlink()
    old.path.mkdir()
    old.offer.close()


def test_a_socket_that_cannot_be_bound_is_closed(old: Old, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a place for its socket an instance offers nothing, and no descriptor stays open."""
    opened: list[socket.socket] = []
    create = socket.socket

    def record(*args: Any) -> socket.socket:  # noqa: ANN401 - those of socket.socket
        opened.append(create(*args))
        return opened[-1]

    old.offer.close()
    monkeypatch.setattr(old.offer, "_path", old.state_dir / "missing" / "handover.sock")
    monkeypatch.setattr(socket, "socket", record)
    old.offer.open()
    assert [sock.fileno() for sock in opened] == [-1]


def is_offered_now(old: Old) -> bool:
    """Whether `restart` would find the offer."""
    return is_offered(old.path, "old")


def test_a_deleted_socket_is_restored(old: Old) -> None:
    """A checkup makes a deleted or replaced socket again, and leaves one that is in order."""
    before = old.path.stat()
    old.offer.restore()
    assert os.path.samestat(old.path.stat(), before)
    old.path.unlink()
    assert not is_offered_now(old)
    old.offer.restore()
    assert is_offered_now(old)
    old.path.unlink()
    old.path.touch()
    old.offer.restore()
    assert is_offered_now(old)


def test_the_lock_of_restarts_is_held_until_the_handover_has_ended(tmp_path: Path) -> None:
    """The new supervisor keeps its copy until it closes the connection, so that no other restart begins before."""
    ours, theirs = socket.socketpair()
    path = tmp_path / "restart.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    new = Predecessor(ours, Listener((), (), 0), FileLock(path, -1, is_owner=False), descriptor)
    assert instance_lock.is_locked(path)
    new.close()
    theirs.close()
    assert not instance_lock.is_locked(path)


def test_only_the_owner_restores_the_socket(old: Old) -> None:
    """A supervisor that has handed its port over does not replace the socket of the new one."""
    old.path.unlink()
    old.lock.is_owner = False
    old.offer.restore()
    assert not old.path.exists()
    old.lock.is_owner = True


def test_an_offer_survives_a_limit_of_threads(old: Old, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a free thread nothing is offered and nothing ends; a checkup offers the port again."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as limited:
        limited.setattr(threading.Thread, "start", refuse)
        assert not is_offered_now(old)
        old.offer.close()
        old.offer.open()
    assert not old.offer._is_open()  # noqa: SLF001 - a request would wait for the answer
    old.offer.restore()
    assert is_offered_now(old)


def test_a_long_path_works(tmp_path: Path) -> None:
    """The state directory may have a path that does not fit into the address of a socket."""
    old = Old(tmp_path / ("long" * 30))
    assert is_offered(old.path, "old")
    drop(old.take())
    old.offer.close()
    assert list(old.state_dir.glob("*.sock")) == []
    old.bound.close()
    old.lock.release()


def test_an_offer_is_that_of_one_instance(old: Old, tmp_path: Path) -> None:
    """Only the instance that is expected offers its port; no socket, and a closed one, offer nothing."""
    assert is_offered(old.path, "old")
    assert not is_offered(old.path, "another")
    assert not is_offered(tmp_path / "none.sock", "old")
    old.lock.is_owner = False
    old.offer.close()
    assert not is_offered(old.path, "old")
    old.lock.is_owner = True


def test_another_user_gets_nothing(old: Old, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ends refuse a process of another user."""
    monkeypatch.setattr(platform, "peer_user", lambda _: os.geteuid() + 1)
    assert not is_offered(old.path, "old")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(SOON_S)
        connection.connect(str(old.path))
        assert connection.recv(1) == b""


@pytest.mark.skipif(not platform.has_proc(), reason="the other system calls are of macOS")
def test_the_user_at_the_other_end_is_known() -> None:
    """The system names the user of the process at the other end."""
    one, other = socket.socketpair(socket.AF_UNIX)
    with one, other:
        assert platform.peer_user(one) == os.geteuid()


def test_a_suspended_supervisor_offers_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A supervisor that does not answer in time offers nothing, and taking from it is 70 with the reason."""
    monkeypatch.setattr(handover_socket, "REPLY_S", 0.1)
    path = socket_path(tmp_path, 8080)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(path))
        silent.listen()
        assert not is_offered(path, "old")
        with pytest.raises(Fatal, match="does not answer") as problem:
            predecessor.take(tmp_path, 8080, "new")
    assert problem.value.exit_status is Exit.SOFTWARE
