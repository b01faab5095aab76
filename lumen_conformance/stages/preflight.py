"""A launch of a foreign target before its first stage: a target that never becomes ready is one error of the run.

Our own proxy is launched by the stages alone: that it starts is a claim of their checks.
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
    """Launch a foreign target, unless it was ready in this run; raises `NeverReady`."""
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
