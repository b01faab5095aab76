"""The lock decides whether an instance runs; the state file only describes it."""

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
    """A process that takes the lock, prints whether it has it, and keeps it until its input ends."""
    command = [sys.executable, "-c", HOLDER, str(path)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_state_is_read_as_written(tmp_path: Path) -> None:
    """A written state is read back, and no draft file remains."""
    path = tmp_path / "proxy-8080.json"
    state.write(path, sample())
    assert state.read(path) == sample()
    assert list(tmp_path.iterdir()) == [path]


CUT = json.dumps(dataclasses.asdict(sample()))[:-9]


@pytest.mark.parametrize(
    "content",
    ["", "null", "[]", "{}", "\x00\x00", CUT, '{"pid": 1}', CUT.replace('"pid": 1', '"pid": "x"')],
    ids=["empty", "null", "list", "object", "zeros", "torn", "incomplete", "wrong-type"],
)
def test_a_bad_state_file_is_no_state(tmp_path: Path, content: str) -> None:
    """A damaged state file is read as None."""
    path = tmp_path / "proxy-8080.json"
    path.write_text(content)
    assert state.read(path) is None


def test_invalid_utf_8_is_no_state(tmp_path: Path) -> None:
    """A state file that is not UTF-8 is read as None."""
    path = tmp_path / "proxy-8080.json"
    path.write_bytes(b"\xff\xfe\x00")
    assert state.read(path) is None


@pytest.mark.parametrize(
    "fields",
    [{"pid": -1}, {"pid": 0}, {"pid": True}, {"start_time": "now"}, {"start_stamp": "now"}, {"settings": []}],
    ids=str,
)
def test_a_field_of_the_wrong_type_is_no_state(tmp_path: Path, fields: dict[str, object]) -> None:
    """A field of the wrong type or range is rejected: PID -1 would mean all processes of the user."""
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
def test_an_invalid_part_of_a_field_is_no_state(tmp_path: Path, fields: dict[str, object]) -> None:
    """Nested values of the wrong type, a foreign port and a foreign address are rejected."""
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
def test_each_own_address_is_valid(tmp_path: Path, host: str, url: str) -> None:
    """Each address that an instance can have is accepted, with recorded settings."""
    path = tmp_path / "proxy-8080.json"
    full = recorded_with({"value": None, "digest": "ab", "origin": "environment", "from-a-newer-release": 1})
    path.write_text(json.dumps({**dataclasses.asdict(sample()), **full, "host": host, "url": url}))
    assert state.read(path) is not None


def test_state_files_of_other_releases_are_read(tmp_path: Path) -> None:
    """A state file may have more fields (newer releases) or fewer (the first release)."""
    path = tmp_path / "proxy-8080.json"
    path.write_text(json.dumps({**dataclasses.asdict(sample()), "from-a-newer-release": 1}))
    assert state.read(path) == sample()
    path.write_text(json.dumps({name: dataclasses.asdict(sample())[name] for name in state.REQUIRED_TYPES}))
    assert state.read(path) == sample()


def test_only_the_process_that_wrote_the_file_is_alive() -> None:
    """A PID with another start is another process: by the clock in old files, by the stamp in new ones."""
    mine, stamp = process_identity.start_time(os.getpid()), process_identity.start_stamp(os.getpid())
    assert mine is not None
    assert stamp is not None
    assert state.is_alive(sample(os.getpid(), mine))
    assert not state.is_alive(sample(os.getpid(), mine - 10))
    assert state.is_alive(dataclasses.replace(sample(os.getpid(), mine - 3600), start_stamp=stamp))
    assert not state.is_alive(dataclasses.replace(sample(os.getpid(), mine), start_stamp=stamp - 1))


def test_a_zombie_is_not_alive() -> None:
    """A zombie has no start time, so it is not alive."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = process_identity.start_time(child.pid)
    assert started is not None
    assert child.stdin is not None
    child.stdin.close()
    until("the child is a zombie", lambda: process_identity.start_time(child.pid) is None, within_s=10)
    assert not state.is_alive(sample(child.pid, started))
    child.wait()


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
