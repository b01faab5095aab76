"""A condition of a scenario begins also when the processes of a launch run in another order."""

import contextlib
import json
import os
import signal
import subprocess
import sys

import pytest

from lumen_conformance.inject.lumen_conditions import MARK, WORKER, conditions
from lumen_conformance.isolation import INJECT

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a late worker is a shell first")
WITHIN_S = 20.0  # three interpreters start, each in some 0.05 s
COMMAND = "COMMAND_OF_THE_WORKER"  # a variable: an argument of the supervisor would make it a worker
# A supervisor that ends when its worker waits, or at once.
SUPERVISOR = f"""
import json, os, subprocess, sys
waits, command = sys.argv[1] == "waits", json.loads(os.environ["{COMMAND}"])
worker = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE if waits else None)
if waits:
    print(worker.stderr.readline().decode(), end="", flush=True)
print("the supervisor ends", flush=True)
"""
STARTED = 'print("the worker starts")'
AT_ONCE = [sys.executable, "-c", STARTED, WORKER]
# A shell that becomes the worker when the pipe of its supervisor has ended.
LATE = ["sh", "-c", 'cat; exec "$@"', "sh", *AT_ONCE]


@pytest.mark.parametrize(
    ("supervisor_ends", "worker", "printed"),
    [
        ("waits", AT_ONCE, [f"{MARK} waits", "the supervisor ends", "the worker starts"]),
        ("at once", LATE, ["the supervisor ends", "the worker starts"]),
    ],
    ids=["worker-first", "supervisor-first"],
)
def test_worker_starts_as_orphan(supervisor_ends: str, worker: list[str], printed: list[str]) -> None:
    """A worker starts when its supervisor has ended, also if that was before the worker looked for it."""
    environ = os.environ | {"PYTHONPATH": str(INJECT), COMMAND: json.dumps(worker)} | conditions("starts-as-orphan")
    command = [sys.executable, "-c", SUPERVISOR, supervisor_ends]
    with subprocess.Popen(
        command, env=environ, stdout=subprocess.PIPE, encoding="utf-8", start_new_session=True
    ) as process:
        try:
            assert process.communicate(timeout=WITHIN_S)[0].splitlines() == printed  # the worker has the pipe, too
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
