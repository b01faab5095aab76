"""Restarts of a port run one at a time, and their record is kept."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from lumen_proxy.control import restart_record
from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.supervisor import state
from tests.unit.proxy.test_supervisor_state import sample


def test_a_restart_that_does_not_end_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second restart waits, reports that, and raises 75 with the PID of the first one."""
    monkeypatch.setattr(restart_record, "WAIT_S", 0.2)
    notices: list[str] = []
    with (
        restart_record.exclusive(tmp_path, 8080, notices.append),
        pytest.raises(Fatal, match=rf"port 8080: another restart \(pid {os.getpid()}\)") as verdict,
        restart_record.exclusive(tmp_path, 8080, notices.append),
    ):
        pass
    assert verdict.value.exit_status is Exit.PORT_IN_USE
    assert notices == [f"waiting for another restart of port 8080 (pid {os.getpid()})"]
    with restart_record.exclusive(tmp_path, 8080, notices.append):
        pass
    assert not list(tmp_path.iterdir())


def test_the_record_is_private_until_it_is_removed(tmp_path: Path) -> None:
    """The record is readable by its owner only and is kept until it is removed."""
    restart_record.write(tmp_path, 8080, sample())
    path = state.restart_path(tmp_path, 8080)
    assert path.stat().st_mode & 0o777 == 0o600
    found = restart_record.read_interrupted(tmp_path, 8080)
    assert found is not None
    assert replace(found, ended=None) == sample()
    restart_record.remove(tmp_path, 8080)
    assert not restart_record.exists(tmp_path, 8080)
