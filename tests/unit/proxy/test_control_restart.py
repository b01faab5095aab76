"""The source of the settings of a restart."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from lumen_proxy import config
from lumen_proxy.control import restart
from lumen_proxy.control.lock_holder import LockHolder, find
from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.supervisor import instance_lock, state
from tests.unit.proxy.test_supervisor_state import sample


@pytest.fixture
def asked(tmp_path: Path) -> config.Settings:
    """Settings for a port whose lock the test holds."""
    return config.load({"LUMEN_STATE_DIR": str(tmp_path), "LUMEN_LOG_DIR": str(tmp_path)}, {"port": "8080"})


def test_a_restart_waits_for_the_first_state_file(asked: config.Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A restart waits for the first state file of an instance that has just started."""
    lock, attempts = instance_lock.claim(asked.state_dir, 8080), 0

    def count_and_find(settings: config.Settings) -> LockHolder | None:
        nonlocal attempts
        attempts += 1
        if attempts == 3:
            state.write(state.state_path(settings.state_dir, 8080), replace(sample(os.getpid()), gateway_url="kept"))
        return find(settings)

    monkeypatch.setattr(restart, "find", count_and_find)
    monkeypatch.setattr(restart, "uptime_s", lambda *_: 0.1)
    known = restart.find_last_state(asked)
    lock.release()
    assert known is not None
    assert known.gateway_url == "kept"


@pytest.mark.parametrize(("content", "age_s"), [(None, 3600.0), ("{", 0.1)], ids=["deleted", "damaged"])
def test_a_missing_state_file_is_an_error(
    asked: config.Settings, monkeypatch: pytest.MonkeyPatch, content: str | None, age_s: float
) -> None:
    """A missing or damaged state file raises 74, and the error says when it is written again."""
    lock = instance_lock.claim(asked.state_dir, 8080)
    if content:
        state.state_path(asked.state_dir, 8080).write_text(content)
    monkeypatch.setattr(restart, "uptime_s", lambda *_: age_s)
    with pytest.raises(Fatal, match="writes it again within 60 s") as verdict:
        restart.find_last_state(asked)
    lock.release()
    assert verdict.value.exit_status is Exit.IO
