"""The state file of an instance: reading and writing it, and whether its process runs."""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest

from lumen_conformance.waiting import until
from lumen_proxy.supervisor import process_identity, state


def sample(pid: int = 1, start_time: float = 0.0) -> state.InstanceState:
    """A state as an instance writes it."""
    hosts = ("127.0.0.1", "::1")
    own, gateway_url, cloud_ai_url = "http://127.0.0.1:8080", "http://gateway.example", "none"
    return state.InstanceState(
        "abc", pid, start_time, "localhost", hosts, 8080, 3, own, 30.0, gateway_url, cloud_ai_url, sandbox=False
    )


def test_state_is_read_as_written(tmp_path: Path) -> None:
    """A written state is read back, and no draft file remains."""
    path = tmp_path / "proxy-8080.json"
    state.write(path, sample())
    assert state.read(path) == sample()
    assert list(tmp_path.iterdir()) == [path]
    assert sys.platform == "win32" or path.stat().st_mode & 0o777 == state.READABLE_BY_OWNER == 0o600


def test_a_state_file_is_left_if_its_process_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is left by an instance that was killed; that of a running process is not."""
    state.write(state.state_path(tmp_path, 8080), sample())
    for is_alive, left in ((True, None), (False, sample())):
        monkeypatch.setattr(state, "is_alive", lambda _, is_alive=is_alive: is_alive)
        assert state.read_left(tmp_path, 8080) == left
    assert state.read_left(tmp_path, 8081) is None


def test_a_failed_write_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The content is replaced in one step or not at all, and no draft file remains."""
    path = tmp_path / "proxy-8080.json"
    state.write(path, sample())
    monkeypatch.setattr(Path, "replace", Mock(side_effect=OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        state.write(path, sample(pid=2))
    assert state.read(path) == sample()
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_of_another_port_is_no_state(tmp_path: Path) -> None:
    """A copied or renamed file does not describe the instance of its name."""
    path = tmp_path / "proxy-8081.json"
    state.write(path, sample())
    assert state.read(path) is None


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
        {"hang": {"worker_pid": 7}},
        {"hang": {"worker_pid": True, "since_mono": 1.5, "watchdog_s": 10.0}},
        {"hang": {"worker_pid": 7, "since_mono": math.nan, "watchdog_s": 10.0}},
        {"hosts": [1]},
        {"pid": 0},
        {"drain_s": math.inf},
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
    full = dataclasses.asdict(sample())
    path.write_text(json.dumps({**full, "from-a-newer-release": 1}))
    assert state.read(path) == sample()
    parameters = inspect.signature(state.InstanceState).parameters.values()
    path.write_text(json.dumps({one.name: full[one.name] for one in parameters if one.default is one.empty}))
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
