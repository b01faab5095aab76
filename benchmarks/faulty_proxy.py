"""A proxy whose processes do at a signal what a benchmark wants, in front of a gateway that answers late if wanted.

The wall clock steps in these processes only, never that of the machine. POSIX only.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

WAIT_S = 60.0  # for an answer; far above every bound
FAULTS = """
import os, signal, threading, time
if any(name.endswith(("lumen_proxy", "lumen_proxy.worker")) for name in __import__("sys").orig_argv):
    real, shift = time.time, [0.0]
    time.time = lambda: real() + shift[0]
    def act(*_):
        fault = open(os.environ["BENCHMARK_FAULT"]).read()
        if fault.startswith("step "):
            shift[0] = float(fault[5:])
        end = time.monotonic() + float(fault.partition(" ")[2] or 0)
        def compute():
            while time.monotonic() < end:
                pass
        def start():
            for _ in range(8):
                threading.Thread(target=compute, daemon=True).start()
        if fault.startswith("compute"):
            threading.Thread(target=start, daemon=True).start()
        while fault == "spin":
            pass
    signal.signal(signal.SIGUSR2, act)
"""


class Gateway(BaseHTTPRequestHandler):
    """Answers each question after `delay_s`."""

    protocol_version = "HTTP/1.1"
    delay_s = 0.0

    def do_POST(self) -> None:
        """Answer late."""
        self.rfile.read(int(self.headers["Content-Length"]))
        threading.Event().wait(Gateway.delay_s)
        body = json.dumps({"response": "네" * 100, "success": True}).encode()
        with contextlib.suppress(OSError):
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@dataclass
class MeasuredProxy:
    """A running proxy, and the folder with its journal and its fault."""

    folder: Path
    port: int
    pid: int

    def ask(self, method: str = "GET", path: str = "/health", body: bytes | None = None) -> bytes:
        """The body of one response over a new connection. Raises OSError or HTTPException."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S)
        with contextlib.closing(connection):
            connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
            return connection.getresponse().read()

    def worker(self) -> int:
        """The PID of the worker that answers; asks again if the connection was cut."""
        while True:
            with contextlib.suppress(OSError, HTTPException):
                return int(json.loads(self.ask())["pid"])

    def events(self, name: str) -> list[dict[str, Any]]:
        """The events of this name in the journal."""
        lines = (self.folder / "logs" / f"journal-{self.port}.jsonl").read_text("utf-8").splitlines()
        return [event for event in map(json.loads, lines) if event["event"] == name]

    def fault(self, text: str, *pids: int) -> None:
        """Let these processes do this."""
        (self.folder / "fault").write_text(text)
        for pid in pids:
            os.kill(pid, signal.SIGUSR2)


@contextmanager
def proxy(watchdog_s: float) -> Iterator[MeasuredProxy]:
    """A proxy in front of the gateway above."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "sitecustomize.py").write_text(FAULTS)
        gateway = ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
        threading.Thread(target=gateway.serve_forever, daemon=True).start()
        stack.callback(gateway.shutdown)
        own = {
            "LUMEN_GATEWAY_URL": f"http://127.0.0.1:{gateway.server_port}",
            "LUMEN_STATE_DIR": str(folder),
            "LUMEN_LOG_DIR": str(folder / "logs"),
            "LUMEN_WATCHDOG_S": f"{watchdog_s:g}",
            "LUMEN_MAX_RESTARTS": "0",
            "LUMEN_RESTART_BACKOFF_S": "0",
            "LUMEN_DRAIN_S": "1",
            "CLOUD_AI_URL": "none",
            "BENCHMARK_FAULT": str(folder / "fault"),
            "PYTHONPATH": str(folder),
        }
        command = [sys.executable, "-m", "lumen_proxy", "serve", "--port", "0"]
        with (folder / "stderr").open("wb") as log:
            process = subprocess.Popen(
                command, env=os.environ | own, stdout=subprocess.PIPE, stderr=log, encoding="utf-8"
            )
        stack.callback(process.wait)
        stack.callback(process.terminate)
        line = process.stdout.readline() if process.stdout else ""
        yield MeasuredProxy(folder, int(re.findall(r"http://127\.0\.0\.1:(\d+)", line)[0]), process.pid)


def until(condition: Callable[[], object]) -> None:
    """Wait for a condition. Raises TimeoutError."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        threading.Event().wait(0.01)


@contextmanager
def busy_cores() -> Iterator[None]:
    """Keep every core busy with another process."""
    burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()
