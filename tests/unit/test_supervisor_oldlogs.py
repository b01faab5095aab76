"""Logs of ports that nobody uses any more go; everything else in the folder stays."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from lumen_proxy import config
from lumen_proxy.rotation import DAY_S
from lumen_proxy.supervisor import oldlogs, state
from tests.fixtures.children import WINDOWS

DAYS = config.BY_FIELD["log_days"].default
OLD = time.time() - (DAYS + 1) * DAY_S
OURS = ["journal-1.jsonl", "worker-1.jsonl.3", "console-1.log", "alerts-watch-1.jsonl", "alerts-supervisor-1.jsonl.1"]
NOT_OURS = ["journal.jsonl.bak", "journal-1.json", "worker-x.jsonl", "my-console-1.log", "console-1.log.gz", "notes"]


def settings_in(folder: Path) -> config.Settings:
    """Settings whose files are all below this folder."""
    return config.load({"LUMEN_STATE_DIR": str(folder / "state"), "LUMEN_LOG_DIR": str(folder / "log")})


def old_file(folder: Path, name: str) -> Path:
    """A file that nobody has written to for longer than logs are kept."""
    path = folder / "log" / name
    path.parent.mkdir(exist_ok=True)
    path.touch()
    os.utime(path, (OLD, OLD))
    return path


@pytest.mark.parametrize("name", OURS)
def test_what_nobody_writes_any_more_goes(tmp_path: Path, name: str) -> None:
    """Whatever the port, once it is older than the days that logs are kept."""
    path = old_file(tmp_path, name)
    oldlogs.drop(settings_in(tmp_path))
    assert not path.exists()


@pytest.mark.parametrize("name", NOT_OURS)
def test_what_is_not_ours_stays(tmp_path: Path, name: str) -> None:
    """A name that we would not give."""
    path = old_file(tmp_path, name)
    oldlogs.drop(settings_in(tmp_path))
    assert path.exists()


def test_what_is_not_old_stays(tmp_path: Path) -> None:
    """A log of a port that rests for a day."""
    path = old_file(tmp_path, "worker-1.jsonl")
    path.touch()
    oldlogs.drop(settings_in(tmp_path))
    assert path.exists()


def test_the_log_of_one_that_runs_stays(tmp_path: Path) -> None:
    """A proxy that has run for a month has written to its journal once, at its start, and that is still needed."""
    path = old_file(tmp_path, "journal-8081.jsonl")
    lock = state.claim(tmp_path / "state", 8081)
    oldlogs.drop(settings_in(tmp_path))
    lock.release()
    assert path.exists()


@pytest.mark.skipif(WINDOWS, reason="a link there is a privilege")
def test_a_folder_of_that_name_is_no_log(tmp_path: Path) -> None:
    """It is passed over, and so is a link: what it leads to may be anybody's."""
    target = old_file(tmp_path, "notes")
    folder, link = tmp_path / "log" / "worker-1.jsonl", tmp_path / "log" / "worker-2.jsonl"
    folder.mkdir()
    link.symlink_to(target)
    os.utime(folder, (OLD, OLD))
    oldlogs.drop(settings_in(tmp_path))
    assert folder.is_dir()
    assert link.is_symlink()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """Nothing to do, and nothing to complain about."""
    oldlogs.drop(settings_in(tmp_path))
