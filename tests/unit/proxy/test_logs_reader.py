"""Reading logs: rotations, torn lines, and files that move while they are read."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lumen_proxy.logs.reader import Follower, rotations
from lumen_proxy.logs.rotation import RotatedFile


def line(number: int) -> bytes:
    """One line; the time grows with the number."""
    return json.dumps({"ts": f"2026-01-01T00:00:{number:02}", "event": "request", "n": number}).encode() + b"\n"


def test_rotations_are_ordered_by_number(tmp_path: Path) -> None:
    """Ten is older than nine; other names do not belong."""
    for name in ("log", "log.1", "log.9", "log.10", "log.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in rotations(tmp_path / "log")] == ["log.10", "log.9", "log.1", "log"]


def test_each_line_once_across_rotations(tmp_path: Path) -> None:
    """Two rotations between two looks: nothing is lost and nothing comes twice."""
    log = RotatedFile(tmp_path / "a.jsonl", max_bytes=200, keep=5, days=9)
    follower = Follower(tmp_path)
    seen: list[int] = []
    for number in range(12):
        log.append(line(number))
        if number % 5 == 0:
            seen += [entry.fields["n"] for entry in follower.read_new()]
    seen += [entry.fields["n"] for entry in follower.read_new()]
    assert seen == list(range(12))


def numbers(follower: Follower) -> list[int]:
    """What is new."""
    return [entry.fields["n"] for entry in follower.read_new()]


def test_a_new_file_with_a_known_number_is_read_from_its_beginning(tmp_path: Path) -> None:
    """File systems give the inode of a deleted file to the next one; here it is another content under one inode."""
    log = tmp_path / "a.jsonl"
    log.write_bytes(line(1) + line(2))
    follower = Follower(tmp_path)
    assert numbers(follower) == [1, 2]
    inode = log.stat().st_ino
    with log.open("r+b") as file:  # the same inode, as large as before and larger
        file.write(line(3) + line(4) + line(5))
    assert log.stat().st_ino == inode
    assert numbers(follower) == [3, 4, 5]
    with log.open("ab") as file:
        file.write(line(6))
    assert numbers(follower) == [6]


def test_a_paused_follower_shows_every_line_that_is_kept_once(tmp_path: Path) -> None:
    """Small logs rotate many times between two looks: what is still on the disk is shown, nothing twice."""
    log = RotatedFile(tmp_path / "a.jsonl", max_bytes=200, keep=2, days=9)
    follower = Follower(tmp_path)
    seen: list[int] = []
    for number in range(60):
        log.append(line(number))
        if number % 20 == 19:
            kept = sum(len(path.read_bytes().splitlines()) for path in rotations(log.path))
            found = numbers(follower)
            assert found == list(range(number + 1 - kept, number + 1))
            seen += found
    assert len(seen) == len(set(seen))


def test_a_first_line_that_is_still_being_written_waits(tmp_path: Path) -> None:
    """A file is known by its first line, so nothing of it is read before that line is whole."""
    log = tmp_path / "a.jsonl"
    follower = Follower(tmp_path)
    log.write_bytes(line(1)[:10])
    assert numbers(follower) == []
    log.write_bytes(line(1) + line(2))
    assert numbers(follower) == [1, 2]


def test_one_port_has_its_own_files(tmp_path: Path) -> None:
    """The journal, the worker's log and the alerts of that port; 80 is not 8080."""
    names = ["journal-8080", "worker-8080", "alerts-watch-8080", "journal-80", "worker-18080"]
    for number, name in enumerate(names):
        (tmp_path / f"{name}.jsonl").write_bytes(line(number))
    assert [entry.log for entry in Follower(tmp_path, 8080).read_new()] == names[:3]
    assert len(Follower(tmp_path).read_new()) == len(names)


@pytest.fixture
def in_seoul(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The time zone of Korea, nine hours before UTC."""
    with monkeypatch.context() as zone:
        zone.setenv("TZ", "Asia/Seoul")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.skipif(sys.platform == "win32", reason="a process of Windows does not change its time zone")
@pytest.mark.usefixtures("in_seoul")
def test_local_time_has_its_offset(tmp_path: Path) -> None:
    """ISO 8601 with the offset of that day, in text and in JSON; a stamp that cannot be read stays."""
    (tmp_path / "a.jsonl").write_bytes(
        b'{"ts": "2026-01-01T15:30:00.123+00:00", "event": "x"}\n{"ts": "soon", "event": "x"}\n'
    )
    first, second = (entry.in_local_time() for entry in Follower(tmp_path).read_new())
    assert (first.ts, second.ts) == ("2026-01-02T00:30:00.123+09:00", "soon")
    assert json.loads(first.as_json())["ts"] == first.ts


def test_logs_are_merged_by_time(tmp_path: Path) -> None:
    """Whatever file a line is in; the last ones are the last of all."""
    for number in range(6):
        with (tmp_path / f"{'ab'[number % 2]}.jsonl").open("ab") as file:
            file.write(line(number))
    found = Follower(tmp_path).read_new(4)
    assert [(entry.log, entry.fields["n"]) for entry in found] == [("a", 2), ("b", 3), ("a", 4), ("b", 5)]


def test_a_torn_line_is_passed_over(tmp_path: Path) -> None:
    """A full disk leaves halves; the end of the file may still be being written."""
    (tmp_path / "a.jsonl").write_bytes(line(1) + b'{"ts": \n[]\n' + line(2) + b'{"ts"')
    assert [entry.fields["n"] for entry in Follower(tmp_path).read_new()] == [1, 2]


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity"])
def test_a_line_that_is_no_json_is_passed_over(tmp_path: Path, number: str) -> None:
    """What Python reads beyond JSON is never printed as if it were JSON."""
    (tmp_path / "a.jsonl").write_bytes(line(1) + b'{"ts": %s, "n": 9}\n' % number.encode() + line(2))
    assert numbers(Follower(tmp_path)) == [1, 2]


def test_more_lines_than_a_machine_can_count(tmp_path: Path) -> None:
    """`logs -n` with a number of 30 digits shows all lines."""
    (tmp_path / "a.jsonl").write_bytes(line(1))
    assert len(Follower(tmp_path).read_new(10**30)) == 1


def test_control_characters_are_harmless(tmp_path: Path) -> None:
    """What a caller put into a header does nothing to the terminal of who reads the log."""
    (tmp_path / "a.jsonl").write_bytes(b'{"ts": "t", "event": "request", "request_id": "a\\u001b[2J"}\n')
    (entry,) = Follower(tmp_path).read_new()
    assert "\x1b" not in entry.as_text()
    assert "a?[2J" in entry.as_text()
