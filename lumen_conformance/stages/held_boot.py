"""Hold the boot of the workers of our own proxy until the stage releases it.

The product has no switch for this. A module `sitecustomize` on the path of the launch blocks each worker before the
product is imported; the guard of the suite runs it, see `inject/sitecustomize.py`.
"""

from __future__ import annotations

import os
from pathlib import Path

from lumen_conformance.targets.target import Target

WORKER = "lumen_proxy.worker"
LOOK_S = 0.01  # between two looks for the file; a boot takes 0.2 s
PROGRAM = """
import os, sys, time
if {worker!r} in sys.orig_argv:
    while not os.path.exists({released!r}):
        time.sleep({look_s})
"""


class HeldBoot:
    """Workers of a launch with `environ` do not boot before `release`. `folder` is for its two files."""

    def __init__(self, folder: Path, target: Target) -> None:
        self._released = folder / "released"
        program = PROGRAM.format(worker=WORKER, released=str(self._released), look_s=LOOK_S)
        (folder / "sitecustomize.py").write_text(program, "utf-8")
        given = target.environ(folder, "").get("PYTHONPATH", "")
        self.environ = {"PYTHONPATH": os.pathsep.join([given, str(folder)])}

    def release(self) -> None:
        """Let all workers boot, those of now and of later."""
        self._released.touch()
