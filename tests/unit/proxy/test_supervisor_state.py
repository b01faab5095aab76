"""The lock is the truth, the state file a hint."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lumen_conformance.waiting import until
from lumen_proxy import platform
from lumen_proxy.control.lock_holder import LockHolder, find_by_lock
from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.supervisor import instance_lock, process_identity, state
from lumen_proxy.supervisor.instance_lock import FileLock

HOLDER = (
    "import pathlib, sys; from lumen_proxy.supervisor.instance_lock import FileLock; "
    "lock = FileLock.take(pathlib.Path(sys.argv[1])); lock and lock.write_holder(); print(bool(lock), flush=True); "
    "sys.stdin.read()"
)


def sample(pid: int = 1, start_time: float = 0.0) -> state.InstanceState:
    """A state as an instance writes it."""
    hosts = ("127.0.0.1", "::1")
    own, gateway_url, cloud_ai_url = "http://127.0.0.1:8080", "http://gateway.example", "none"
    return state.InstanceState(
        "abc", pid, start_time, "localhost", hosts, 8080, 3, own, 30.0, gateway_url, cloud_ai_url, sandbox=False
    )


def hold(path: Path) -> subprocess.Popen[str]:
    """A process that tries to take the lock, says whether it has it, and keeps it until its input ends."""
    command = [sys.executable, "-c", HOLDER, str(path)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_state_comes_back_as_written(tmp_path: Path) -> None:
    """What was written is read, and no draft is left beside it."""
    path = tmp_path / "proxy-8080.json"
    state.write(path, sample())
    assert state.read(path) == sample()
    assert list(tmp_path.iterdir()) == [path]


TORN = json.dumps(dataclasses.asdict(sample()))[:-9]


@pytest.mark.parametrize(
    "content",
    ["", "null", "[]", "{}", "\x00\x00", TORN, '{"pid": 1}', TORN.replace('"pid": 1', '"pid": "x"')],
    ids=["empty", "null", "list", "object", "zeros", "torn", "incomplete", "wrong-type"],
)
def test_a_bad_state_file_is_no_state(tmp_path: Path, content: str) -> None:
    """Nothing that can stand in the file raises."""
    path = tmp_path / "proxy-8080.json"
    path.write_text(content)
    assert state.read(path) is None


def test_bytes_that_are_no_text_are_no_state(tmp_path: Path) -> None:
    """Not even bytes that cannot be decoded raise."""
    path = tmp_path / "proxy-8080.json"
    path.write_bytes(b"\xff\xfe\x00")
    assert state.read(path) is None


@pytest.mark.parametrize(
    "fields",
    [{"pid": -1}, {"pid": 0}, {"pid": True}, {"start_time": "now"}, {"start_stamp": "now"}, {"settings": []}],
    ids=str,
)
def test_a_field_of_the_wrong_kind_is_no_state(tmp_path: Path, fields: dict[str, object]) -> None:
    """A PID of -1 would be every process of the user."""
    path = tmp_path / "proxy-8080.json"
    path.write_text(json.dumps({**dataclasses.asdict(sample()), **fields}))
    assert state.read(path) is None


def recorded_with(entry: object) -> dict[str, object]:
    """Recorded settings with one entry."""
    return {"settings": {"salt": "00", "values": {"PROXY_HOST": entry}}}


@pytest.mark.parametrize(
    "fields",
    [
        {"last_failure": {"at": 5, "what": "worker ended"}},
        {"ended": {"at": "2026-01-01T00:00:00+00:00", "what": [], "kind": "failed"}},
        {"settings": {"values": [1]}},
        {"settings": {"salt": 1, "values": {}}},
        recorded_with(5),
        recorded_with({"value": 5, "origin": "option"}),
        recorded_with({"value": "::1", "origin": None}),
        recorded_with({"value": None, "digest": 5, "origin": "option"}),
        {"hosts": [1]},
        {"port": 8081},
        {"url": "http://gateway.example:8080"},
        {"url": "http://127.0.0.1:8081"},
        {"url": "file:///etc/passwd"},
    ],
    ids=str,
)
def test_a_wrong_part_of_a_field_is_no_state(tmp_path: Path, fields: dict[str, object]) -> None:
    """Wrong kinds inside, a port that is not that of the file, an address that is not its own."""
    path = tmp_path / "proxy-8080.json"
    path.write_text(json.dumps({**dataclasses.asdict(sample()), **fields}))
    assert state.read(path) is None


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("localhost", "http://127.0.0.1:8080"),
        ("localhost", "http://[::1]:8080"),
        ("0.0.0.0", "http://127.0.0.1:8080"),  # noqa: S104 - not bound
        ("192.0.2.1", "http://192.0.2.1:8080"),
    ],
)
def test_each_address_of_its_own_is_a_state(tmp_path: Path, host: str, url: str) -> None:
    """One of both loopbacks, or the address that it listens on; with whatever is recorded of settings."""
    path = tmp_path / "proxy-8080.json"
    full = recorded_with({"value": None, "digest": "ab", "origin": "environment", "of-tomorrow": 1})
    path.write_text(json.dumps({**dataclasses.asdict(sample()), **full, "host": host, "url": url}))
    assert state.read(path) is not None


def test_other_releases_are_understood(tmp_path: Path) -> None:
    """A newer one may have more fields; the first one has fewer."""
    path = tmp_path / "proxy-8080.json"
    path.write_text(json.dumps({**dataclasses.asdict(sample()), "of-tomorrow": 1}))
    assert state.read(path) == sample()
    path.write_text(json.dumps({name: dataclasses.asdict(sample())[name] for name in state.REQUIRED_TYPES}))
    assert state.read(path) == sample()


def test_only_the_very_process_is_alive() -> None:
    """The same number with another start is a stranger: by the clock in old files, by the stamp in new ones."""
    mine, stamp = process_identity.start_time(os.getpid()), process_identity.start_stamp(os.getpid())
    assert mine is not None
    assert stamp is not None
    assert state.is_alive(sample(os.getpid(), mine))
    assert not state.is_alive(sample(os.getpid(), mine - 10))
    assert state.is_alive(dataclasses.replace(sample(os.getpid(), mine - 3600), start_stamp=stamp))
    assert not state.is_alive(dataclasses.replace(sample(os.getpid(), mine), start_stamp=stamp - 1))


def test_a_zombie_is_not_alive() -> None:
    """A process that has ended but was not reaped has no start time to match."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = process_identity.start_time(child.pid)
    assert started is not None
    assert child.stdin is not None
    child.stdin.close()
    until("the child is a zombie", lambda: process_identity.start_time(child.pid) is None, within_s=10)
    assert not state.is_alive(sample(child.pid, started))
    child.wait()


def test_two_processes_never_share_a_lock(tmp_path: Path) -> None:
    """The second is told at once, and gets it when the first has ended, killed or not."""
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


def test_a_lock_whose_file_was_removed_guards_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opened before its holder removed the file, locked after: the name is taken anew."""
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
    """Windows lets nobody else read a locked byte: it is behind the PID that the file holds."""
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


def test_looking_at_a_stale_lock_removes_it(tmp_path: Path) -> None:
    """A file that nobody holds is litter."""
    path = tmp_path / "proxy-8080.lock"
    path.touch()
    assert not instance_lock.is_locked(path)
    assert not path.exists()
    assert not instance_lock.is_locked(path)


def test_the_lock_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking needs no right to write; of a lock that may not even be looked at nothing is said."""
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


def test_a_state_without_a_lock_is_nobodys(tmp_path: Path) -> None:
    """A living process with the right start holds the port only as long as it has the lock."""
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
def test_who_ends_during_the_look_holds_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    described: bool,  # noqa: FBT001 -- a row
) -> None:
    """A holder that ends between the look at the lock and the look at its owner is gone, and not unknown."""
    lock = instance_lock.claim(tmp_path, 8080)
    if described:
        state.write(tmp_path / "proxy-8080.json", sample(os.getpid()))
    monkeypatch.setattr(process_identity, "lock_owner", lambda *_: lock.release())
    assert find_by_lock(tmp_path, 8080) is None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux names the owner of a lock")
def test_the_lock_tells_more_than_the_state_file(tmp_path: Path) -> None:
    """Another process has the lock than the one that the state file describes: that file is not believed."""
    state.write(tmp_path / "proxy-8080.json", sample(os.getpid(), process_identity.start_time(os.getpid()) or 0.0))
    with hold(tmp_path / "proxy-8080.lock") as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert find_by_lock(tmp_path, 8080) == LockHolder(other.pid, is_verified=True, state=None)
        other.kill()


def test_a_deleted_lock_file_is_restored(tmp_path: Path) -> None:
    """With its folder; the lock is held as before, and it names its holder."""
    folder = tmp_path / "state"
    lock = instance_lock.claim(folder, 8080)
    shutil.rmtree(folder)
    lock.restore()
    assert instance_lock.is_locked(lock.path)
    assert instance_lock.read_holder(lock.path) == os.getpid()
    lock.restore()
    lock.release()
    assert not list(folder.iterdir())


def test_a_claim_names_the_holder(tmp_path: Path) -> None:
    """75, with the port, the PID and the command that ends it."""
    mine = process_identity.start_time(os.getpid())
    assert mine is not None
    lock = instance_lock.claim(tmp_path, 8080)
    state.write(tmp_path / "proxy-8080.json", sample(os.getpid(), mine))
    with pytest.raises(Fatal, match=rf"port 8080: .* \(pid {os.getpid()}\) .*stop --port 8080") as verdict:
        instance_lock.claim(tmp_path, 8080)
    assert verdict.value.exit_status is Exit.PORT_IN_USE
    lock.release()


def test_a_holder_is_named_before_its_state_file_exists(tmp_path: Path) -> None:
    """Of two that start at once the winner has only the lock when the other is refused: the lock file names it."""
    lock = instance_lock.claim(tmp_path, 8080)
    with pytest.raises(Fatal, match=rf"another lumen-proxy \(pid {os.getpid()}\) runs there"):
        instance_lock.claim(tmp_path, 8080)
    lock.release()


def test_a_claim_without_a_place_says_where(tmp_path: Path) -> None:
    """73, with the folder and the variable that moves it; not even root can write below a file."""
    (tmp_path / "file").touch()
    with pytest.raises(Fatal, match=r"file/state.*LUMEN_STATE_DIR") as verdict:
        instance_lock.claim(tmp_path / "file" / "state", 8080)
    assert verdict.value.exit_status is Exit.CANNOT_CREATE
