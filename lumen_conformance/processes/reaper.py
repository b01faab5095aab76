"""Kill what a pytest process has launched when that process ends without the end of its fixtures.

A launched server has a session of its own, so Ctrl-C does not reach it. Only fixtures end it, and they do not run when
pytest is killed: by SIGKILL, by a second Ctrl-C, by execnet (which kills its workers a second after the controller has
ended), or by ``subprocess.run`` around a nested pytest. So each pytest process that runs tests starts one helper
process, which holds the other end of a pipe: the system closes the pipe when pytest ends, however it ends. The helper
then kills every process with a tag of this pytest process, daemons and nested runs among them.

PR_SET_PDEATHSIG of Linux is no substitute: it acts on the end of the thread that launches, and on one process only.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
import pytest

from lumen_conformance.inject.lumen_guard import FOREIGN
from lumen_conformance.processes.reaper_program import ORDERLY
from lumen_conformance.run import TAG, Run, is_controller, run_of

PROGRAM: Final = Path(__file__).with_name("reaper_program.py")
PACKAGES: Final = (Path(__file__).parents[2], Path(psutil.__file__).parents[1])
OWN_TAG: Final = f"reaper{FOREIGN}"  # of no run, so that no audit ends it; without the guard, which it does not need


@dataclass(frozen=True)
class Reaper:
    """The helper process; it ends by itself when its standard input ends."""

    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, run: Run) -> Reaper:
        """Start the helper for the processes of this worker of the run."""
        file = run.folder / f"reaped-{run.worker}.txt"
        # Without the module site, Python starts in 9 ms of processor time instead of 25 ms; each run starts a helper.
        process = subprocess.Popen(
            [sys.executable, "-S", str(PROGRAM), f"{run.id}/{run.worker}/", str(file)],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, bufsize=0,
            env={**os.environ, TAG: OWN_TAG, "PYTHONPATH": os.pathsep.join(map(str, PACKAGES))},
            start_new_session=os.name != "nt",  # Ctrl-C is not for the helper
            creationflags=subprocess.CREATE_NEW_PROCESS_GROUP if os.name == "nt" else 0,  # type: ignore[attr-defined,unused-ignore]
        )  # fmt: skip
        return cls(process)

    def stop(self) -> None:
        """End the helper without a kill: all fixtures of this pytest process have ended."""
        self.process.communicate(ORDERLY)

    def release(self) -> None:
        """Close the pipe in a forked child, or the helper would wait for the end of that child, too."""
        if self.process.stdin:
            self.process.stdin.close()


REAPER = pytest.StashKey[Reaper]()


def start(session: pytest.Session) -> None:
    """Start the helper in a process that runs tests."""
    if session.items and not is_controller(session.config) and not session.config.option.collectonly:
        session.config.stash[REAPER] = reaper = Reaper.start(run_of(session.config))
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=reaper.release)


def stop(session: pytest.Session) -> None:
    """End the helper in order."""
    if reaper := session.config.stash.get(REAPER, None):
        reaper.stop()


def list_killed(config: pytest.Config) -> list[str]:
    """Return a line for each process that was killed after the end of a worker."""
    files = run_of(config).folder.glob("reaped-*.txt")
    return [line for file in files for line in file.read_text("utf-8").splitlines()]
