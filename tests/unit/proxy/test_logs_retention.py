"""Old logs of unused ports are removed; other files stay."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from lumen_conformance.processes.child_process import WINDOWS
from lumen_proxy.logs import retention
from lumen_proxy.logs.rotation import DAY_S

DAYS = 14
OLD = time.time() - (DAYS + 1) * DAY_S
LINE = '{"ts": "2025-10-24T10:09:00.000+00:00", "level": "info", "event": "request"}\n'
LOGS = ["worker-1.jsonl", "worker-8080.jsonl.3", "alerts-watch-1.jsonl", "alerts-supervisor-1.jsonl.1"]
OTHER_NAMES = ["worker-x.jsonl", "worker-20240101.jsonl", "my-worker-1.jsonl", "worker-1.jsonl.gz", "notes"]
NEEDED = ["journal-8080.jsonl", "console-8080.log", "console-0.log"]
OTHER_CONTENTS = ["", "worker 1 says hello\n", "[]\n", '{"ts": 1, "message": "of another program"}\n']


def old_file(folder: Path, name: str, text: str = LINE) -> Path:
    """A file that was last written before the retention time."""
    path = folder / name
    path.write_text(text, "utf-8")
    os.utime(path, (OLD, OLD))
    return path


@pytest.mark.parametrize("name", LOGS)
def test_an_old_log_is_removed(tmp_path: Path, name: str) -> None:
    """A log that is older than the retention time is removed, for any port."""
    path = old_file(tmp_path, name)
    retention.remove_old_logs(tmp_path, DAYS)
    assert not path.exists()


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_other_names_stay(tmp_path: Path, name: str) -> None:
    """A file with another name stays."""
    path = old_file(tmp_path, name)
    retention.remove_old_logs(tmp_path, DAYS)
    assert path.exists()


@pytest.mark.parametrize("name", NEEDED)
def test_journal_and_console_log_stay(tmp_path: Path, name: str) -> None:
    """A journal and a console log stay, because a running proxy may use them."""
    path = old_file(tmp_path, name)
    retention.remove_old_logs(tmp_path, DAYS)
    assert path.exists()


@pytest.mark.parametrize("text", OTHER_CONTENTS, ids=["empty", "text", "list", "other-fields"])
def test_other_contents_stay(tmp_path: Path, text: str) -> None:
    """A file with the name of a log and another content stays."""
    path = old_file(tmp_path, "worker-3.jsonl", text)
    retention.remove_old_logs(tmp_path, DAYS)
    assert path.exists()


def test_a_recent_log_stays(tmp_path: Path) -> None:
    """A recent log stays."""
    path = old_file(tmp_path, "worker-1.jsonl")
    path.touch()
    retention.remove_old_logs(tmp_path, DAYS)
    assert path.exists()


@pytest.mark.skipif(WINDOWS, reason="a link there is a privilege")
def test_a_folder_or_link_stays(tmp_path: Path) -> None:
    """A folder or a symbolic link with the name of a log stays."""
    target = old_file(tmp_path, "notes")
    folder, link = tmp_path / "worker-1.jsonl", tmp_path / "worker-2.jsonl"
    folder.mkdir()
    link.symlink_to(target)
    os.utime(folder, (OLD, OLD))
    retention.remove_old_logs(tmp_path, DAYS)
    assert folder.is_dir()
    assert link.is_symlink()


def test_a_missing_folder_is_no_error(tmp_path: Path) -> None:
    """A missing log folder is no error."""
    retention.remove_old_logs(tmp_path / "log", DAYS)
