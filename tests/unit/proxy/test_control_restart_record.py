"""A restart of a port: one at a time, and what it has to do is kept."""

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
    """After a bounded wait, which is told, the other one gets 75 with the PID; then its turn comes."""
    monkeypatch.setattr(restart_record, "WAIT_S", 0.2)
    told: list[str] = []
    with (
        restart_record.exclusive(tmp_path, 8080, told.append),
        pytest.raises(Fatal, match=rf"port 8080: another restart \(pid {os.getpid()}\)") as verdict,
        restart_record.exclusive(tmp_path, 8080, told.append),
    ):
        pass
    assert verdict.value.exit_status is Exit.PORT_IN_USE
    assert told == [f"waiting for another restart of port 8080 (pid {os.getpid()})"]
    with restart_record.exclusive(tmp_path, 8080, told.append):
        pass
    assert not list(tmp_path.iterdir())


def test_what_is_to_be_done_is_private_and_outlives_the_old_instance(tmp_path: Path) -> None:
    """The old instance, which may become ready as it is stopped, does not remove it; the new one does."""
    restart_record.write(tmp_path, 8080, sample())
    path = state.restart_path(tmp_path, 8080)
    assert path.stat().st_mode & 0o777 == 0o600
    found = restart_record.read_interrupted(tmp_path, 8080)
    assert found is not None
    assert replace(found, ended=None) == sample()
    restart_record.remove(tmp_path, 8080)
    assert not restart_record.exists(tmp_path, 8080)
