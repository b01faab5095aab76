"""Logs and journal are capped in size, number and days by one mechanism."""

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
    """A line that was written so many days ago."""
    return json.dumps({"ts": (datetime.now(UTC) - timedelta(days=days_ago)).isoformat()}).encode() + b"\n"


@pytest.mark.parametrize(("days_ago", "files"), [(1.9, ["log"]), (2.1, ["log", "log.1"])])
def test_a_file_covers_its_share_of_the_days(tmp_path: Path, days_ago: float, files: list[str]) -> None:
    """Six days in three files are two days a file: the oldest line is never older than six."""
    path = tmp_path / "log"
    path.write_bytes(line(days_ago))
    RotatedFile(path, max_bytes=10_000, keep=2, days=6).append(line())
    assert sorted(path.name for path in tmp_path.iterdir()) == files


def test_old_files_go_at_the_first_line_of_a_process(tmp_path: Path) -> None:
    """Even when nothing has to be rotated."""
    old = tmp_path / "log.2"
    old.touch()
    os.utime(old, (0, time.time() - 15 * DAY_S))
    RotatedFile(tmp_path / "log", max_bytes=10_000, keep=2, days=14).append(line())
    assert not old.exists()


@pytest.mark.parametrize("first", [b"", b"no json\n", b"{}\n", b'{"ts": 5}\n', b'{"ts": "soon"}\n'])
def test_a_first_line_without_a_time_is_no_reason_to_rotate(tmp_path: Path, first: bytes) -> None:
    """Whatever stands there is kept."""
    path = tmp_path / "log"
    path.write_bytes(first)
    RotatedFile(path, max_bytes=10_000, keep=2, days=14).append(line())
    assert path.read_bytes().startswith(first)
    assert not (tmp_path / "log.1").exists()


def test_the_journal_is_capped(tmp_path: Path) -> None:
    """The newest events are in journal.jsonl, and all files together stay within the cap."""
    journal = Journal(tmp_path / "journal.jsonl", "abc", max_bytes=1_000, keep=2, days=14)
    for number in range(100):
        journal.write("ready", generation=number)
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["journal.jsonl", "journal.jsonl.1", "journal.jsonl.2"]
    assert all(path.stat().st_size <= 1_000 for path in tmp_path.iterdir())
    last = journal.path.read_bytes().split(b"\n")[-2]
    assert json.loads(last)["generation"] == 99
    assert journal.lost == 0


def test_what_cannot_be_written_is_counted(tmp_path: Path) -> None:
    """A path through a file is an error for root, too."""
    (tmp_path / "file").touch()
    journal = Journal(tmp_path / "file" / "journal.jsonl", "abc")
    journal.write("ready")
    assert journal.lost == 1


def test_fewer_are_kept_from_now_on(tmp_path: Path) -> None:
    """Who lowers the number gets rid of those above it at the first line, whatever their age."""
    for number in range(1, 6):
        (tmp_path / f"log.{number}").touch()
    (tmp_path / "log.txt").touch()
    RotatedFile(tmp_path / "log", max_bytes=10_000, keep=1, days=14).append(line())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "log.1", "log.txt"]


def test_none_is_kept(tmp_path: Path) -> None:
    """Zero means the current file alone."""
    log = RotatedFile(tmp_path / "log", max_bytes=1, keep=0, days=14)
    for _ in range(3):
        log.append(line())
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_a_folder_that_was_deleted_is_made_again(tmp_path: Path) -> None:
    """A cleaner may delete the log folder of a running proxy: the next line makes it again, and nothing is lost."""
    journal = Journal(tmp_path / "logs" / "deep" / "journal.jsonl", "abc")
    for _ in range(2):
        journal.write("ready")
        assert len(journal.path.read_bytes().splitlines()) == 1
        shutil.rmtree(tmp_path / "logs")
    assert journal.lost == 0
