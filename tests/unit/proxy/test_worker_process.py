"""A worker process with the test as its supervisor: it serves, drains, and reports what it cut."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path

import pytest

from lumen_conformance.gateway import replies
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http import client
from lumen_conformance.http.capture import Capture
from lumen_conformance.waiting import until
from lumen_proxy import threads
from lumen_proxy.ipc import Beat, Drain, Drained, Imported, Message, Ready, Serve, decode, encode
from lumen_proxy.supervisor.listener import Listener, bind
from tests.unit.proxy.running_proxy import USER, error

WITHIN_S = 10.0

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="descriptors are handed over by number")


class ServingWorker:
    """A worker that serves on both loopbacks."""

    def __init__(self, process: subprocess.Popen[bytes], bound: Listener) -> None:
        self.process = process
        self.url = bound.url
        assert self.receive() == Imported(process.pid)
        listeners = [{"fd": sock.fileno()} for sock in bound.sockets]
        self.send(Serve(instance="x", supervisor_pid=os.getpid(), started_at=0.5, generation=1, listeners=listeners))
        assert self.receive() == Ready()

    def send(self, message: Message) -> None:
        """Send a command."""
        assert self.process.stdin
        self.process.stdin.write(encode(message))
        self.process.stdin.flush()

    def receive(self) -> Message:
        """The next message of the worker that is no heartbeat."""
        assert self.process.stdout
        while (message := decode(self.process.stdout.readline())) == Beat():
            pass
        return message

    def chat(self) -> Capture:
        """Send a chat request."""
        return client.call(self.url, "POST", "/v1/chat/completions", json={"messages": [USER]}, timeout_s=WITHIN_S)

    def chat_in_thread(self) -> Future[Capture]:
        """Send a chat request from another thread."""
        return threads.start(self.chat, "chat")


@pytest.fixture
def worker(gateway: ScriptedGateway, tmp_path: Path) -> Iterator[ServingWorker]:
    """A worker in front of the scripted gateway; its log is in the folder of the test."""
    environ = os.environ | {"LUMEN_LOG_DIR": str(tmp_path), "LUMEN_GATEWAY_URL": gateway.url}
    command = [sys.executable, "-m", "lumen_proxy.worker"]
    with (
        closing(bind("localhost", 0)) as bound,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environ,
            pass_fds=[sock.fileno() for sock in bound.sockets],
        ) as process,
    ):
        try:
            yield ServingWorker(process, bound)
        finally:
            process.kill()


def test_each_socket_is_served(worker: ServingWorker) -> None:
    """Both loopbacks reach one worker."""
    port = worker.url.rpartition(":")[2]
    answers = [client.call(f"http://{host}:{port}", "GET", "/health").json() for host in ("127.0.0.1", "[::1]")]
    assert [answer["pid"] for answer in answers] == [worker.process.pid] * 2


def test_a_drain_finishes_what_is_in_progress(worker: ServingWorker, gateway: ScriptedGateway, tmp_path: Path) -> None:
    """The request in progress is answered, a new one is refused with 503; both are in the log; the status is 0."""
    gate = threading.Event()
    gateway.standing = replies.gated(gate)
    first = worker.chat_in_thread()
    gateway.until_called()
    worker.send(Drain(WITHIN_S))
    until("it drains", lambda: client.call(worker.url, "GET", "/ready").status == 503, within_s=WITHIN_S)
    refused = worker.chat()
    assert (refused.status, error(refused)["code"]) == (503, "shutting_down")
    gate.set()
    assert first.result(WITHIN_S).status == 200
    assert worker.receive() == Drained(0)
    assert worker.process.wait(WITHIN_S) == 0
    (log,) = tmp_path.glob("worker-*.jsonl")
    chats = [line for line in map(json.loads, log.read_text().splitlines()) if line["route"] == "/chat/completions"]
    assert sorted(line["status"] for line in chats) == [200, 503]  # a line is written after the client has the answer


def test_a_drain_reports_what_it_cut(worker: ServingWorker, gateway: ScriptedGateway) -> None:
    """At its deadline the client gets 503, the supervisor the number of cut requests, and the status is 70."""
    gateway.standing = replies.silent
    first = worker.chat_in_thread()
    gateway.until_called()
    worker.send(Drain(0.1))
    assert error(first.result(WITHIN_S))["code"] == "shutting_down"
    assert worker.receive() == Drained(1)
    assert worker.process.wait(WITHIN_S) == 70
