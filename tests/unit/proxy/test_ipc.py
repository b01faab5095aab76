"""A worker and its supervisor: their messages, and the end of the worker when the supervisor ends."""

from __future__ import annotations

import io
import json
import math
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from lumen_conformance.ports import reserved_port
from lumen_conformance.processes.process_tree import ProcessRef
from lumen_conformance.waiting import until
from lumen_proxy.ipc import (
    LINE_BYTES,
    Beat,
    Drain,
    Drained,
    Imported,
    InvalidMessage,
    Message,
    Ready,
    Serve,
    decode,
    encode,
    kind_of,
    messages,
)

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


VALID: list[Message] = [Imported(7), Ready(), Beat(), Drained(0), SERVE, Drain(1.5)]


@pytest.mark.parametrize("message", VALID)
def test_a_message_is_decoded_as_it_was_encoded(message: Message) -> None:
    """Each message has one line, which gives the same message again."""
    line = encode(message)
    assert line.count(b"\n") == 1
    assert decode(line) == message


def line_of(message: Message, **changed: object) -> bytes:
    """The line of a message with other fields."""
    return json.dumps({**json.loads(encode(message)), **changed}).encode() + b"\n"


INVALID: dict[str, list[object]] = {
    "imported.pid": [True, 0, -1, 1.5, "7", None, 2**31],
    "drained.cut": [True, -1, 0.5, None],
    "drain.within_s": [True, -1.0, 1, math.nan, math.inf, "1", None],
    "serve.instance": [1, None],
    "serve.supervisor_pid": [True, 0, -1],
    "serve.started_at": [math.nan, -0.5, True],
    "serve.generation": [True, 0, -1, 1.0],
    "serve.listeners": [{}, [], [1], [{}], [{"fd": True}], [{"fd": -1}], [{"fd": 3, "share": ""}], [{"share": "*"}]],
}


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [(*field.split("."), value) for field, values in INVALID.items() for value in values],
)
def test_a_field_with_an_impossible_value(kind: str, name: str, value: object) -> None:
    """The sender cannot create the message, and the receiver discards it: both use the same check."""
    (valid,) = (message for message in VALID if kind_of(type(message)) == kind)
    with pytest.raises(InvalidMessage, match=name):
        type(valid)(**(vars(valid) | {name: value}))
    with pytest.raises(InvalidMessage):
        decode(line_of(valid, **{name: value}))


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"not JSON\n",
        b"\xff\n",
        b"[]\n",
        b"{}\n",
        b"[" * 60_000 + b"\n",
        b'{"message": ["ready"]}\n',
        b'{"message": "unknown"}\n',
        b'{"message": "imported"}\n',
        b'{"message": "imported", "pid": 1, "more": 2}\n',
        b'{"message": "ready", "message": "ready"}\n',
        b'{"message": "serve", "listeners": [{"fd": 3}]}\n',
        b" " * LINE_BYTES + encode(Drained(1)),
        b"x" * 3 * LINE_BYTES + b"\n",
    ],
    ids=lambda line: f"{len(line)}-{line[:40]!r}",
)
def test_a_line_that_is_not_a_message_is_discarded(line: bytes) -> None:
    """The whole line is discarded and reported once; the next message is read."""
    reported: list[str] = []
    assert list(messages(io.BytesIO(line + encode(Ready())), reported.append)) == [Ready()]
    (report,) = reported
    assert report.startswith("invalid message ignored: ")
    assert len(report) < 200  # characters: a line on a console


def test_a_line_without_an_end_is_no_message() -> None:
    """A line that the end of the stream cuts off is discarded, even if it could be parsed."""
    reported: list[str] = []
    assert list(messages(io.BytesIO(encode(Ready()).rstrip()), reported.append)) == []
    assert len(reported) == 1


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


def test_a_waiting_worker_that_is_drained_ends(worker: subprocess.Popen[bytes]) -> None:
    """It has no request to finish: the status is 0, which means that nothing was cut."""
    assert worker.stdin
    worker.stdin.write(encode(Drain(END_S)))
    worker.stdin.flush()
    assert worker.wait(END_S) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="descriptors are handed over by number")
def test_a_serving_worker_ends_at_the_end_of_its_input(tmp_path: object) -> None:
    """It ends while it serves."""
    with reserved_port() as port, socket.create_server(("127.0.0.1", port)) as listener:
        environ = os.environ | {"LUMEN_LOG_DIR": str(tmp_path)}
        options = {"env": environ, "pass_fds": [listener.fileno()]}
        with subprocess.Popen(WORKER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options) as process:  # type: ignore[call-overload]
            process.stdout.readline()
            process.stdin.write(encode(replace(SERVE, listeners=[{"fd": listener.fileno()}])))
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
