"""The start of a worker: the garbage collector is off for the imports only, and an orphan imports nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

COLLECTS, COLLECTS_NOT = 3, 4
CODE = f"""
import gc, sys
from lumen_proxy.worker import __main__ as worker, process

class Worker:
    def __init__(self, *_): pass
    def run(self): return {COLLECTS} if gc.isenabled() else {COLLECTS_NOT}

process.Worker = Worker
sys.exit(worker.main())
"""
WITHIN_S = 30.0  # a start takes 0.3 s here, a hundred times that


def test_a_worker_that_serves_collects_garbage() -> None:
    """It is on again when the worker serves."""
    with subprocess.Popen([sys.executable, "-c", CODE], stdin=subprocess.PIPE) as worker:
        assert worker.wait(WITHIN_S) == COLLECTS


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal of Linux")
def test_an_orphan_imports_nothing() -> None:
    """A worker whose supervisor has ended before the worker asks for the parent-death signal ends at once."""
    command = [sys.executable, "-X", "importtime", "-m", "lumen_proxy.worker"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    assert "waitress" not in done.stderr
