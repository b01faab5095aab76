"""Which process gets the signal of a stop, at the last moment."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import pytest

from lumen_conformance.processes.children import WINDOWS
from lumen_proxy import config
from lumen_proxy.control import stop
from lumen_proxy.control.lock_holder import LockHolder
from lumen_proxy.errors import Fatal
from lumen_proxy.supervisor import instance_lock, process_identity, state


def test_a_pid_that_was_reused_meanwhile_is_not_signalled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Directly before the signal the start of the process is compared again: who has the number now survives."""
    settings = config.load({"LUMEN_STATE_DIR": str(tmp_path), "LUMEN_LOG_DIR": str(tmp_path)}, {"port": "1"})
    lock = instance_lock.claim(tmp_path, 1)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as innocent:
        stamps = itertools.chain([1.0], itertools.repeat(2.0))
        monkeypatch.setattr(stop, "find", lambda _: LockHolder(innocent.pid, is_verified=True, state=None))
        monkeypatch.setattr(process_identity, "start_stamp", lambda _: next(stamps))
        stop.stop_now(settings)
        assert innocent.poll() is None
        innocent.kill()
    lock.release()


@pytest.mark.skipif(WINDOWS, reason="no sleep command there")
def test_who_may_not_look_at_the_lock_signals_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if the state file names a living process with its start time: the lock is the truth."""
    settings = config.load({"LUMEN_STATE_DIR": str(tmp_path), "LUMEN_LOG_DIR": str(tmp_path)}, {"port": "1"})
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as innocent:
        began = process_identity.start_time(innocent.pid) or 0.0
        it = state.InstanceState("abc", innocent.pid, began, "localhost", (), 1, 1, "", 1.0, "", "", sandbox=False)
        state.write(tmp_path / "proxy-1.json", it)
        monkeypatch.setattr(instance_lock, "is_locked", lambda _: None)
        with pytest.raises(Fatal, match="cannot check the lock"):
            stop.stop_now(settings)
        assert innocent.poll() is None
        innocent.kill()
