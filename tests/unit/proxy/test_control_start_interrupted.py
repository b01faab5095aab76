"""Ctrl-C while a start begins to wait for the new proxy."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from lumen_proxy import config
from lumen_proxy.control import start

SOON_S = 10.0


def test_ctrl_c_leaves_no_timer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A timer that stayed after Ctrl-C would delay the exit by 45 s, and then kill the new proxy."""
    timers: list[threading.Timer] = []

    class InterruptedTimer(threading.Timer):
        def start(self) -> None:
            super().start()
            timers.append(self)
            raise KeyboardInterrupt

    monkeypatch.setattr(threading, "Timer", InterruptedTimer)
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: SimpleNamespace(kill=lambda: None, stdout=None))
    settings = config.load({"LUMEN_STATE_DIR": str(tmp_path), "LUMEN_LOG_DIR": str(tmp_path)}, {})
    with pytest.raises(KeyboardInterrupt):
        start.launch(settings, {})
    timers[0].join(SOON_S)
    assert not timers[0].is_alive()
