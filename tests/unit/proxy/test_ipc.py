"""A worker at its supervisor's end, each way alone: the leash while the parent lives, the kernel while stopped."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from lumen_conformance.ports import reserved_port
from lumen_conformance.processes.process_tree import ProcessRef
from lumen_conformance.waiting import until

GONE_BUDGET_S = 5.0  # recovery.md, scenario 7
WORKER = [sys.executable, "-m", "lumen_proxy.worker"]
PARENT = f"""
import subprocess
worker = subprocess.Popen({WORKER!r}, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
worker.stdout.readline()
print(worker.pid, flush=True)
worker.wait()
"""


@pytest.fixture
def worker() -> Iterator[subprocess.Popen[bytes]]:
    """One worker that stands by; we are its supervisor."""
    with subprocess.Popen(WORKER, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout
            assert json.loads(process.stdout.readline())["event"] == "imported"
            yield process
        finally:
            process.kill()


def test_a_worker_leaves_at_the_end_of_its_leash(worker: subprocess.Popen[bytes]) -> None:
    """End of file means leave, although the process that started it lives on."""
    assert worker.stdin
    worker.stdin.close()
    assert worker.wait(GONE_BUDGET_S) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="descriptors are handed over by number")
def test_a_serving_worker_leaves_at_the_end_of_its_leash(tmp_path: object) -> None:
    """The same while it serves."""
    with reserved_port() as port, socket.create_server(("127.0.0.1", port)) as listener:
        environ = os.environ | {"LUMEN_LOG_DIR": str(tmp_path)}
        how = {"env": environ, "pass_fds": [listener.fileno()]}
        with subprocess.Popen(WORKER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **how) as process:  # type: ignore[call-overload]
            order = {"cmd": "serve", "listeners": [{"fd": listener.fileno()}], "instance": "x", "generation": 1,
                     "restarts": 0, "supervisor_pid": os.getpid(), "started_at": 0.0}  # fmt: skip
            process.stdout.readline()
            process.stdin.write(json.dumps(order).encode() + b"\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["event"] == "ready"
            process.stdin.close()
            try:
                assert process.wait(GONE_BUDGET_S) == 0
            finally:
                process.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="only its kernel tells a child of its parent's death")
def test_a_stopped_worker_dies_with_its_parent() -> None:
    """It cannot read its leash, and goes all the same."""
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        worker = ProcessRef.of(int(parent.stdout.readline()))
        worker.suspend()
        parent.kill()
        until("worker is gone", lambda: worker.state() != "running", within_s=GONE_BUDGET_S)
