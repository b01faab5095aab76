"""The lock of an instance: taking, checking, restoring and claiming it."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lumen_proxy import platform
from lumen_proxy.control.lock_holder import LockHolder, find_by_lock
from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.supervisor import instance_lock, process_identity, state
from lumen_proxy.supervisor.instance_lock import FileLock
from tests.unit.proxy.test_supervisor_state import sample

HOLDER = (
    "import pathlib, sys; from lumen_proxy.supervisor.instance_lock import FileLock; "
    "lock = FileLock.take(pathlib.Path(sys.argv[1])); lock and lock.write_holder(); print(bool(lock), flush=True); "
    "sys.stdin.read()"
)


def hold(path: Path) -> subprocess.Popen[str]:
    """A process that takes the lock, prints whether it has it, and keeps it until its input ends."""
    command = [sys.executable, "-c", HOLDER, str(path)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_two_processes_never_share_a_lock(tmp_path: Path) -> None:
    """A second process cannot take the lock until the first has ended."""
    path = tmp_path / "proxy-8080.lock"
    with hold(path) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "True\n"
        assert instance_lock.is_locked(path)
        assert FileLock.take(path) is None
        first.kill()
    lock = FileLock.take(path)
    assert lock is not None
    lock.release()
    assert not path.exists()


def test_a_lock_on_a_removed_file_is_taken_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the holder removes the file between open and lock, the file is created and locked again."""
    path = tmp_path / "proxy-8080.lock"
    first = FileLock.take(path)
    assert first is not None
    really = platform.try_lock

    def slow_lock(descriptor: int) -> bool:
        monkeypatch.setattr(platform, "try_lock", really)
        first.release()
        return really(descriptor)

    monkeypatch.setattr(platform, "try_lock", slow_lock)
    second = FileLock.take(path)
    assert second is not None
    assert path.exists()
    assert FileLock.take(path) is None
    second.release()


def test_the_locked_byte_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The locked byte is behind the PID in the file: Windows forbids reading a locked byte."""
    at: list[int] = []

    def take(descriptor: int) -> bool:
        at.append(os.lseek(descriptor, 0, os.SEEK_CUR))
        return True

    monkeypatch.setattr(platform, "try_lock", take)
    lock = FileLock.take(tmp_path / "proxy-8080.lock")
    assert lock is not None
    lock.write_holder()
    assert at[0] > lock.path.stat().st_size
    assert instance_lock.read_holder(lock.path) == os.getpid()
    lock.release()


def test_a_check_removes_a_stale_lock(tmp_path: Path) -> None:
    """A lock file without a holder is removed."""
    path = tmp_path / "proxy-8080.lock"
    path.touch()
    assert not instance_lock.is_locked(path)
    assert not path.exists()
    assert not instance_lock.is_locked(path)


def test_the_lock_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read-only lock file can be checked; an unreadable one gives None."""
    path = tmp_path / "proxy-8080.lock"
    path.touch()
    really = os.open
    readable = True

    def guarded(file: Path, flags: int, *mode: int) -> int:
        if not readable or flags & (os.O_WRONLY | os.O_RDWR):
            raise PermissionError(errno.EACCES, "Permission denied", str(file))
        return really(file, flags, *mode)

    monkeypatch.setattr(os, "open", guarded)
    assert instance_lock.is_locked(path) is False
    readable = False
    assert instance_lock.is_locked(path) is None


def test_a_state_file_without_a_lock_is_no_instance(tmp_path: Path) -> None:
    """A running process is the instance only while it holds the lock."""
    mine = process_identity.start_time(os.getpid())
    assert mine is not None
    path = tmp_path / "proxy-8080.json"
    state.write(path, sample(os.getpid(), mine))
    assert find_by_lock(tmp_path, 8080) is None
    lock = instance_lock.claim(tmp_path, 8080)
    assert find_by_lock(tmp_path, 8080) == LockHolder(os.getpid(), is_verified=True, state=state.read(path))
    lock.release()
    assert find_by_lock(tmp_path, 8080) is None


@pytest.mark.parametrize("described", [True, False])
def test_a_holder_that_ends_during_the_check_is_no_holder(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    described: bool,  # noqa: FBT001 -- a row
) -> None:
    """A holder that ends between the check of the lock and the check of its owner is not reported."""
    lock = instance_lock.claim(tmp_path, 8080)
    if described:
        state.write(tmp_path / "proxy-8080.json", sample(os.getpid()))
    monkeypatch.setattr(process_identity, "lock_owner", lambda *_: lock.release())
    assert find_by_lock(tmp_path, 8080) is None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux names the owner of a lock")
def test_the_lock_overrides_the_state_file(tmp_path: Path) -> None:
    """If another process has the lock than the state file describes, the state file is ignored."""
    state.write(tmp_path / "proxy-8080.json", sample(os.getpid(), process_identity.start_time(os.getpid()) or 0.0))
    with hold(tmp_path / "proxy-8080.lock") as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert find_by_lock(tmp_path, 8080) == LockHolder(other.pid, is_verified=True, state=None)
        other.kill()


def test_a_deleted_lock_file_is_restored(tmp_path: Path) -> None:
    """A deleted lock file is created again with its folder and its content, and it is locked."""
    folder = tmp_path / "state"
    lock = instance_lock.claim(folder, 8080)
    shutil.rmtree(folder)
    lock.restore()
    assert instance_lock.is_locked(lock.path)
    assert instance_lock.read_holder(lock.path) == os.getpid()
    lock.restore()
    lock.release()
    assert not list(folder.iterdir())


def test_a_refused_claim_names_the_holder(tmp_path: Path) -> None:
    """A claim of a held lock raises 75 with the port, the PID and the stop command."""
    mine = process_identity.start_time(os.getpid())
    assert mine is not None
    lock = instance_lock.claim(tmp_path, 8080)
    state.write(tmp_path / "proxy-8080.json", sample(os.getpid(), mine))
    with pytest.raises(Fatal, match=rf"port 8080: .* \(pid {os.getpid()}\) .*stop --port 8080") as verdict:
        instance_lock.claim(tmp_path, 8080)
    assert verdict.value.exit_status is Exit.PORT_IN_USE
    lock.release()


def test_a_holder_is_named_before_its_state_file_exists(tmp_path: Path) -> None:
    """If the holder has no state file yet, the error takes its PID from the lock file."""
    lock = instance_lock.claim(tmp_path, 8080)
    with pytest.raises(Fatal, match=rf"another lumen-proxy \(pid {os.getpid()}\) runs there"):
        instance_lock.claim(tmp_path, 8080)
    lock.release()


def test_a_claim_in_an_unwritable_folder_names_it(tmp_path: Path) -> None:
    """A claim in a folder that cannot be created raises 73 with the folder and its variable."""
    (tmp_path / "file").touch()
    with pytest.raises(Fatal, match=r"file/state.*LUMEN_STATE_DIR") as verdict:
        instance_lock.claim(tmp_path / "file" / "state", 8080)
    assert verdict.value.exit_status is Exit.CANNOT_CREATE
