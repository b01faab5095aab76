"""A worker and its supervisor: their messages, and the end of the worker when the supervisor ends."""

from __future__ import annotations

import io
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
from lumen_proxy.ipc import Drain, Drained, Imported, Message, Ready, Serve, decode, encode, messages

END_S = 5.0  # recovery.md, scenario 7
WORKER = [sys.executable, "-m", "lumen_proxy.worker"]
PARENT = f"""
import subprocess
worker = subprocess.Popen({WORKER!r}, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
worker.stdout.readline()
print(worker.pid, flush=True)
worker.wait()
"""
SERVE = Serve(instance="x", supervisor_pid=1, started_at=0.5, generation=2, listeners=[{"fd": 3}])


@pytest.mark.parametrize("message", [Imported(7), Ready(), Drained(0), SERVE, Drain(1.5)])
def test_a_message_is_decoded_as_it_was_encoded(message: Message) -> None:
    """Each message has one line, which gives the same message again."""
    line = encode(message)
    assert line.count(b"\n") == 1
    assert decode(line) == message


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"not JSON",
        b"[]",
        b"[" * 100_000,
        b"{}",
        b'{"message": ["ready"]}',
        b'{"message": "unknown"}',
        b'{"message": "imported"}',
        b'{"message": "imported", "pid": "x"}',
        b'{"message": "imported", "pid": 1, "more": 2}',
        b'{"message": "drain", "within_s": null}',
        json.dumps({"message": "serve", **vars(SERVE), "listeners": {}}).encode(),
    ],
)
def test_a_line_that_is_not_a_message_is_skipped(line: bytes) -> None:
    """Malformed and unknown messages are skipped in one place; the next message is read."""
    assert decode(line) is None
    assert list(messages(io.BytesIO(line + b"\n" + encode(Ready())))) == [Ready()]


@pytest.fixture
def worker() -> Iterator[subprocess.Popen[bytes]]:
    """A worker that waits for its promotion; the test is its supervisor."""
    with subprocess.Popen(WORKER, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout
            assert decode(process.stdout.readline()) == Imported(process.pid)
            yield process
        finally:
            process.kill()


def test_a_waiting_worker_ends_at_the_end_of_its_input(worker: subprocess.Popen[bytes]) -> None:
    """It ends although the process that started it still runs."""
    assert worker.stdin
    worker.stdin.close()
    assert worker.wait(END_S) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="descriptors are handed over by number")
def test_a_serving_worker_ends_at_the_end_of_its_input(tmp_path: object) -> None:
    """It ends while it serves."""
    with reserved_port() as port, socket.create_server(("127.0.0.1", port)) as listener:
        environ = os.environ | {"LUMEN_LOG_DIR": str(tmp_path)}
        options = {"env": environ, "pass_fds": [listener.fileno()]}
        with subprocess.Popen(WORKER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options) as process:  # type: ignore[call-overload]
            process.stdout.readline()
            process.stdin.write(encode(Serve(listeners=[{"fd": listener.fileno()}])))
            process.stdin.flush()
            assert decode(process.stdout.readline()) == Ready()
            process.stdin.close()
            try:
                assert process.wait(END_S) == 0
            finally:
                process.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills a child when its parent ends")
def test_a_stopped_worker_dies_with_its_parent() -> None:
    """It cannot read its input, and ends nevertheless."""
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        worker = ProcessRef.of(int(parent.stdout.readline()))
        worker.suspend()
        parent.kill()
        until("worker has ended", lambda: worker.state() != "running", within_s=END_S)
