"""Before a story is told of a foreign target it must have been ready once: one that never is, is one clear error.

Our own proxy is launched by its stories alone: that it starts is what they claim.
"""

from __future__ import annotations

import filelock
import pytest

from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.run import run_of
from lumen_conformance.targets.launch import Launcher
from lumen_conformance.targets.readiness import Readiness
from lumen_conformance.targets.target import target_of

LOCK_STARTS = 2  # another worker's launch, and as long again for a busy machine


def ensure_ready(config: pytest.Config) -> None:
    """Launch a foreign target, unless this run has seen it ready; raises `NeverReady`. Nothing for our own."""
    target, run = target_of(config), run_of(config)
    if not (target.foreign and target.command):
        return
    readiness = Readiness.of(run)
    with filelock.FileLock(run.folder / "readiness.lock", timeout=LOCK_STARTS * target.start_s):
        readiness.raise_failure()
        if not readiness.is_ready:
            with (
                ScriptedGateway() as gateway,
                Launcher(run, target, run.folder / "readiness", readiness=readiness) as launches,
            ):
                launches(gateway=gateway)
