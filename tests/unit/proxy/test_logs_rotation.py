"""Limits of logs and journal: size, number of files and age."""

from __future__ import annotations

import json
import os
import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lumen_proxy.logs.journal import Journal
from lumen_proxy.logs.rotation import DAY_S, RotatedFile


def line(days_ago: float = 0) -> bytes:
    """A line with a time `days_ago` days ago."""
    return json.dumps({"ts": (datetime.now(UTC) - timedelta(days=days_ago)).isoformat()}).encode() + b"\n"


@pytest.mark.parametrize(("days_ago", "files"), [(1.9, ["log"]), (2.1, ["log", "log.1"])])
def test_a_file_covers_its_share_of_the_days(tmp_path: Path, days_ago: float, files: list[str]) -> None:
    """With six days and three files a file is rotated after two days."""
    path = tmp_path / "log"
    path.write_bytes(line(days_ago))
    RotatedFile(path, max_bytes=10_000, keep=2, days=6).append(line())
    assert sorted(path.name for path in tmp_path.iterdir()) == files


@pytest.mark.parametrize("before", [b"", b"{}\n", b'{}\n{"ts": '], ids=["empty", "whole", "torn"])
def test_a_line_after_an_incomplete_one_is_a_line_of_its_own(tmp_path: Path, before: bytes) -> None:
    """The first line of a process follows an end of line, and nothing that was there is lost."""
    path, new = tmp_path / "log", line()
    path.write_bytes(before)
    log = RotatedFile(path, max_bytes=10_000, keep=2, days=14)
    log.append(new)
    log.append(new)
    end = b"" if not before or before.endswith(b"\n") else b"\n"
    assert path.read_bytes() == before + end + new + new


def test_the_first_line_removes_old_files(tmp_path: Path) -> None:
    """The first line of a process removes old files, even without a rotation."""
    old = tmp_path / "log.2"
    old.touch()
    os.utime(old, (0, time.time() - 15 * DAY_S))
    RotatedFile(tmp_path / "log", max_bytes=10_000, keep=2, days=14).append(line())
    assert not old.exists()


@pytest.mark.parametrize("first", [b"", b"no json\n", b"{}\n", b'{"ts": 5}\n', b'{"ts": "soon"}\n'])
def test_a_first_line_without_a_time_does_not_rotate(tmp_path: Path, first: bytes) -> None:
    """A file whose first line has no time is not rotated."""
    path = tmp_path / "log"
    path.write_bytes(first)
    RotatedFile(path, max_bytes=10_000, keep=2, days=14).append(line())
    assert path.read_bytes().startswith(first)
    assert not (tmp_path / "log.1").exists()


def test_the_journal_has_limits(tmp_path: Path) -> None:
    """The newest events are in journal.jsonl, and each file is within the limit."""
    file = RotatedFile(tmp_path / "journal.jsonl", max_bytes=1_000, keep=2, days=14)
    journal = Journal(file, "abc")
    for number in range(100):
        journal.write("ready", generation=number)
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["journal.jsonl", "journal.jsonl.1", "journal.jsonl.2"]
    assert all(path.stat().st_size <= 1_000 for path in tmp_path.iterdir())
    last = journal.path.read_bytes().split(b"\n")[-2]
    assert json.loads(last)["generation"] == 99
    assert file.lost == 0


def test_a_failed_write_is_counted(tmp_path: Path) -> None:
    """A failed write is counted and raises no exception."""
    (tmp_path / "file").touch()
    log = RotatedFile(tmp_path / "file" / "log", max_bytes=10_000, keep=2, days=14)
    log.append(line())
    assert log.lost == 1


def test_a_lower_number_removes_files(tmp_path: Path) -> None:
    """After the number was lowered, the first line removes the surplus files."""
    for number in range(1, 6):
        (tmp_path / f"log.{number}").touch()
    (tmp_path / "log.txt").touch()
    RotatedFile(tmp_path / "log", max_bytes=10_000, keep=1, days=14).append(line())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "log.1", "log.txt"]


def test_zero_old_files(tmp_path: Path) -> None:
    """With zero old files only the current file exists."""
    log = RotatedFile(tmp_path / "log", max_bytes=1, keep=0, days=14)
    for _ in range(3):
        log.append(line())
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_a_deleted_folder_is_created_again(tmp_path: Path) -> None:
    """After the folder was deleted, the next line creates it again."""
    log = RotatedFile(tmp_path / "logs" / "deep" / "log", max_bytes=10_000, keep=2, days=14)
    for _ in range(2):
        log.append(line())
        assert len(log.path.read_bytes().splitlines()) == 1
        shutil.rmtree(tmp_path / "logs")
    assert log.lost == 0
