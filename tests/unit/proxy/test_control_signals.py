"""A stop signals the verified process only."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import pytest

from lumen_conformance.processes.child_process import WINDOWS
from lumen_proxy import config
from lumen_proxy.control import stop
from lumen_proxy.control.lock_holder import LockHolder
from lumen_proxy.errors import Fatal
from lumen_proxy.supervisor import instance_lock, process_identity, state


def test_a_reused_pid_is_not_signalled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that got the PID of an instance directly before the signal is not signalled."""
    settings = config.load({"LUMEN_STATE_DIR": str(tmp_path), "LUMEN_LOG_DIR": str(tmp_path)}, {"port": "1"})
    lock = instance_lock.claim(tmp_path, 1)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as bystander:
        stamps = itertools.chain([1.0], itertools.repeat(2.0))
        monkeypatch.setattr(stop, "find", lambda _: LockHolder(bystander.pid, is_verified=True, state=None))
        monkeypatch.setattr(process_identity, "start_stamp", lambda _: next(stamps))
        stop.stop_now(settings)
        assert bystander.poll() is None
        bystander.kill()
    lock.release()


@pytest.mark.skipif(WINDOWS, reason="no sleep command there")
def test_without_access_to_the_lock_no_process_is_signalled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the lock cannot be checked, the process of the state file is not signalled."""
    settings = config.load({"LUMEN_STATE_DIR": str(tmp_path), "LUMEN_LOG_DIR": str(tmp_path)}, {"port": "1"})
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as bystander:
        began = process_identity.start_time(bystander.pid) or 0.0
        known = state.InstanceState("abc", bystander.pid, began, "localhost", (), 1, 1, "", 1.0, "", "", sandbox=False)
        state.write(tmp_path / "proxy-1.json", known)
        monkeypatch.setattr(instance_lock, "is_locked", lambda _: None)
        with pytest.raises(Fatal, match="cannot check the lock"):
            stop.stop_now(settings)
        assert bystander.poll() is None
        bystander.kill()
