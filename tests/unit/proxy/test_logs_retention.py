"""Logs of ports that nobody uses any more go; everything else in the folder stays."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from lumen_conformance.processes.children import WINDOWS
from lumen_proxy.logs import retention
from lumen_proxy.logs.rotation import DAY_S

DAYS = 14
OLD = time.time() - (DAYS + 1) * DAY_S
LINE = '{"ts": "2025-10-24T10:09:00.000+00:00", "level": "info", "event": "request"}\n'
OURS = ["worker-1.jsonl", "worker-8080.jsonl.3", "alerts-watch-1.jsonl", "alerts-supervisor-1.jsonl.1"]
NOT_OURS = ["worker-x.jsonl", "worker-20240101.jsonl", "my-worker-1.jsonl", "worker-1.jsonl.gz", "notes"]
NEEDED = ["journal-8080.jsonl", "console-8080.log", "console-0.log"]
OTHERS = ["", "worker 1 says hello\n", "[]\n", '{"ts": 1, "message": "of another program"}\n']


def old_file(folder: Path, name: str, text: str = LINE) -> Path:
    """A file that nobody has written to for longer than logs are kept."""
    path = folder / name
    path.write_text(text, "utf-8")
    os.utime(path, (OLD, OLD))
    return path


@pytest.mark.parametrize("name", OURS)
def test_what_nobody_writes_any_more_goes(tmp_path: Path, name: str) -> None:
    """Whatever the port, once it is older than the days that logs are kept: so is each of its lines."""
    path = old_file(tmp_path, name)
    retention.remove_old_logs(tmp_path, DAYS)
    assert not path.exists()


@pytest.mark.parametrize("name", NOT_OURS)
def test_what_is_not_ours_stays(tmp_path: Path, name: str) -> None:
    """A name that we would not give."""
    path = old_file(tmp_path, name)
    retention.remove_old_logs(tmp_path, DAYS)
    assert path.exists()


@pytest.mark.parametrize("name", NEEDED)
def test_what_one_that_runs_may_need_stays(tmp_path: Path, name: str) -> None:
    """A journal whose proxy has had nothing to tell for weeks, and a console that is open as long as its proxy runs."""
    path = old_file(tmp_path, name)
    retention.remove_old_logs(tmp_path, DAYS)
    assert path.exists()


@pytest.mark.parametrize("text", OTHERS, ids=["empty", "words", "list", "other-fields"])
def test_what_only_bears_our_name_stays(tmp_path: Path, text: str) -> None:
    """The log of another program in the same folder does not begin like ours."""
    path = old_file(tmp_path, "worker-3.jsonl", text)
    retention.remove_old_logs(tmp_path, DAYS)
    assert path.exists()


def test_what_is_not_old_stays(tmp_path: Path) -> None:
    """A log of a port that rests for a day."""
    path = old_file(tmp_path, "worker-1.jsonl")
    path.touch()
    retention.remove_old_logs(tmp_path, DAYS)
    assert path.exists()


@pytest.mark.skipif(WINDOWS, reason="a link there is a privilege")
def test_a_folder_of_that_name_is_no_log(tmp_path: Path) -> None:
    """It is passed over, and so is a link: what it leads to may be anybody's."""
    target = old_file(tmp_path, "notes")
    folder, link = tmp_path / "worker-1.jsonl", tmp_path / "worker-2.jsonl"
    folder.mkdir()
    link.symlink_to(target)
    os.utime(folder, (OLD, OLD))
    retention.remove_old_logs(tmp_path, DAYS)
    assert folder.is_dir()
    assert link.is_symlink()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """Nothing to do, and nothing to complain about."""
    retention.remove_old_logs(tmp_path / "log", DAYS)
