"""Reading logs: rotations, incomplete lines, and files that are renamed meanwhile."""

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
    """One line; its time increases with the number."""
    return json.dumps({"ts": f"2026-01-01T00:00:{number:02}", "event": "request", "n": number}).encode() + b"\n"


def test_rotations_are_ordered_by_number(tmp_path: Path) -> None:
    """The files of a log are ordered by number; other names are ignored."""
    for name in ("log", "log.1", "log.9", "log.10", "log.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in rotations(tmp_path / "log")] == ["log.10", "log.9", "log.1", "log"]


def test_each_line_once_across_rotations(tmp_path: Path) -> None:
    """Each line is read once, even with two rotations between two reads."""
    log = RotatedFile(tmp_path / "a.jsonl", max_bytes=200, keep=5, days=9)
    follower = Follower(tmp_path)
    read: list[int] = []
    for number in range(12):
        log.append(line(number))
        if number % 5 == 0:
            read += [entry.fields["n"] for entry in follower.read_new()]
    read += [entry.fields["n"] for entry in follower.read_new()]
    assert read == list(range(12))


def numbers(follower: Follower) -> list[int]:
    """The numbers of the new lines."""
    return [entry.fields["n"] for entry in follower.read_new()]


def test_a_new_file_with_a_known_inode_is_read_completely(tmp_path: Path) -> None:
    """A new file that reuses the inode of a deleted file is read from its beginning."""
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


def test_a_paused_follower_reads_remaining_lines_once(tmp_path: Path) -> None:
    """If files were removed between two reads, the lines that still exist are read once."""
    log = RotatedFile(tmp_path / "a.jsonl", max_bytes=200, keep=2, days=9)
    follower = Follower(tmp_path)
    read: list[int] = []
    for number in range(60):
        log.append(line(number))
        if number % 20 == 19:
            kept = sum(len(path.read_bytes().splitlines()) for path in rotations(log.path))
            found = numbers(follower)
            assert found == list(range(number + 1 - kept, number + 1))
            read += found
    assert len(read) == len(set(read))


def test_an_incomplete_first_line_is_not_read(tmp_path: Path) -> None:
    """A file is read only when its first line is complete, because that line identifies the file."""
    log = tmp_path / "a.jsonl"
    follower = Follower(tmp_path)
    log.write_bytes(line(1)[:10])
    assert numbers(follower) == []
    log.write_bytes(line(1) + line(2))
    assert numbers(follower) == [1, 2]


def test_one_port_has_its_own_files(tmp_path: Path) -> None:
    """A port selects its journal, worker log and alerts; 80 does not select 8080."""
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
    """Local time has its UTC offset, in text and in JSON; an invalid time is not changed."""
    (tmp_path / "a.jsonl").write_bytes(
        b'{"ts": "2026-01-01T15:30:00.123+00:00", "event": "x"}\n{"ts": "soon", "event": "x"}\n'
    )
    first, second = (entry.in_local_time() for entry in Follower(tmp_path).read_new())
    assert (first.ts, second.ts) == ("2026-01-02T00:30:00.123+09:00", "soon")
    assert json.loads(first.as_json())["ts"] == first.ts


def test_logs_are_merged_by_time(tmp_path: Path) -> None:
    """Lines of several files are merged by time."""
    for number in range(6):
        with (tmp_path / f"{'ab'[number % 2]}.jsonl").open("ab") as file:
            file.write(line(number))
    found = Follower(tmp_path).read_new(4)
    assert [(entry.log, entry.fields["n"]) for entry in found] == [("a", 2), ("b", 3), ("a", 4), ("b", 5)]


def test_an_incomplete_line_is_skipped(tmp_path: Path) -> None:
    """An incomplete line is skipped."""
    (tmp_path / "a.jsonl").write_bytes(line(1) + b'{"ts": \n[]\n' + line(2) + b'{"ts"')
    assert [entry.fields["n"] for entry in Follower(tmp_path).read_new()] == [1, 2]


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity"])
def test_a_line_that_is_not_json_is_skipped(tmp_path: Path, number: str) -> None:
    """A line with NaN or infinity is skipped, because it is not JSON."""
    (tmp_path / "a.jsonl").write_bytes(line(1) + b'{"ts": %s, "n": 9}\n' % number.encode() + line(2))
    assert numbers(Follower(tmp_path)) == [1, 2]


def test_a_huge_number_of_lines(tmp_path: Path) -> None:
    """`logs -n` with a number of 30 digits reads all lines."""
    (tmp_path / "a.jsonl").write_bytes(line(1))
    assert len(Follower(tmp_path).read_new(10**30)) == 1


def test_control_characters_are_replaced(tmp_path: Path) -> None:
    """Control characters in a log are replaced in the text output."""
    (tmp_path / "a.jsonl").write_bytes(b'{"ts": "t", "event": "request", "request_id": "a\\u001b[2J"}\n')
    (entry,) = Follower(tmp_path).read_new()
    assert "\x1b" not in entry.as_text()
    assert "a?[2J" in entry.as_text()
