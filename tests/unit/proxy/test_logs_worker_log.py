"""The log of a worker: rotated, limited in size, without text of users. A failed write is not an error."""

from __future__ import annotations

import json
import logging
import os
import threading
from pathlib import Path

import pytest

from lumen_conformance.waiting import until
from lumen_proxy.logs.worker_log import LogHandler, WorkerLog

DAY_S = 86_400


def log(path: Path, *, max_bytes: int = 1000, keep: int = 2, days: int = 14, level: str = "info") -> WorkerLog:
    """A log with small limits."""
    return WorkerLog(path, max_bytes=max_bytes, keep=keep, days=days, level=level)


@pytest.mark.parametrize("keep", [0, 1, 3])
def test_the_cap_holds(tmp_path: Path, keep: int) -> None:
    """There are at most `keep` old files, each within its size."""
    it = log(tmp_path / "log", keep=keep)
    for number in range(200):
        it.write("info", "request", number=number)
        if number % 7 == 0:
            it.flush()
    it.flush()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["log", *(f"log.{n}" for n in range(1, keep + 1))]
    assert all(path.stat().st_size <= 1000 for path in tmp_path.iterdir())
    last = (tmp_path / "log").read_text().splitlines()[-1]
    assert json.loads(last)["number"] == 199
    assert it.lost == 0


def test_nothing_is_lost_between_files(tmp_path: Path) -> None:
    """The files together have the newest lines without a gap."""
    it = log(tmp_path / "log", keep=3)
    for number in range(30):
        it.write("info", "request", number=number)
        it.flush()
    files = sorted(tmp_path.iterdir(), key=lambda path: path.name, reverse=True)
    kept = [json.loads(line)["number"] for path in [*files[:-1], files[-1]] for line in path.read_text().splitlines()]
    assert sorted(kept) == list(range(min(kept), 30))


def test_old_files_are_removed(tmp_path: Path) -> None:
    """A rotated file that is older than the days to keep is removed at the next rotation."""
    it = log(tmp_path / "log", days=1, max_bytes=200)
    it.write("info", "request", text="x" * 100)
    it.flush()
    os.utime(tmp_path / "log", (0, 0))
    for _ in range(2):
        it.write("info", "request", text="x" * 100)
        it.flush()
    old = [path.name for path in tmp_path.iterdir() if path.stat().st_mtime < DAY_S]
    assert old == []


def test_a_line_longer_than_the_cap_is_written_alone(tmp_path: Path) -> None:
    """There are no empty files."""
    it = log(tmp_path / "log", max_bytes=10)
    for _ in range(2):
        it.write("info", "request")
        it.flush()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "log.1"]


def test_what_cannot_be_written_is_counted(tmp_path: Path) -> None:
    """A path through a file is an error for root, too; it is counted."""
    (tmp_path / "file").touch()
    it = log(tmp_path / "file" / "log")
    it.write("info", "request")
    it.flush()
    assert it.lost == 1


def test_levels(tmp_path: Path) -> None:
    """Lines below the level are not written."""
    it = log(tmp_path / "log", level="warning")
    it.write("info", "request")
    it.flush()
    assert not (tmp_path / "log").exists()
    it.write("error", "internal_error")
    assert (tmp_path / "log").exists()


def test_control_characters_are_escaped(tmp_path: Path) -> None:
    """One event is one line of ASCII."""
    log(tmp_path / "log").write("warning", "request", request_id="a\nb\x1b\u2028루")
    data = (tmp_path / "log").read_bytes()
    assert data.isascii()
    assert data.count(b"\n") == 1
    assert b"\x1b" not in data


def test_messages_of_libraries_are_not_logged(tmp_path: Path) -> None:
    """They may quote a user."""
    logger = logging.getLogger("test.of.bridge")
    logger.propagate = False
    logger.addHandler(LogHandler(log(tmp_path / "log")))
    try:
        int("secret")
    except ValueError:
        logger.exception("secret %s", "secret")
    line = json.loads((tmp_path / "log").read_text())
    assert (line["logger"], line["error"]) == ("test.of.bridge", "ValueError")
    assert "secret" not in json.dumps(line)


def test_lines_of_requests_are_written_soon(tmp_path: Path) -> None:
    """A thread writes the lines together, shortly after."""
    it = log(tmp_path / "log")
    threading.Thread(target=it.keep_flushing, daemon=True).start()
    for number in range(3):
        it.write("info", "request", number=number)
    until("written", lambda: (tmp_path / "log").read_text().count("\n") == 3, within_s=10.0)


def test_a_warning_writes_all_lines(tmp_path: Path) -> None:
    """The lines stay in order, and a warning is written at once."""
    it = log(tmp_path / "log")
    it.write("info", "request")
    it.write("error", "internal_error")
    events = [json.loads(line)["event"] for line in (tmp_path / "log").read_text().splitlines()]
    assert events == ["request", "internal_error"]
