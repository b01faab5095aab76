"""How a worker starts: what its imports switch off is on again when it serves."""

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
    """Only the imports are done without the collector."""
    done = subprocess.run([sys.executable, "-c", CODE], stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == COLLECTS
