"""The start of a worker: the garbage collector is off for the imports only."""

from __future__ import annotations

import subprocess
import sys

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


def test_a_worker_that_serves_collects_garbage() -> None:
    """It is on again when the worker serves."""
    done = subprocess.run([sys.executable, "-c", CODE], stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == COLLECTS
