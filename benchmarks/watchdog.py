"""The watchdog: how soon a hang is noticed and replaced, and whether it ever replaces a worker that does not hang.

    python benchmarks/watchdog.py hang [--runs 50] [--watchdog-s 2] [--seed N]
    python benchmarks/watchdog.py false-kills [--minutes 30] [--watchdog-s 2] [--seed N]

`hang` stops a worker (SIGSTOP) and makes one spin, in turn, at a random moment; every second pair has both cores kept
busy. Bound: the next answer follows within twice LUMEN_WATCHDOG_S. `false-kills` runs episodes in a random order: load,
busy cores, threads that compute, a slow gateway, large bodies, 900 slow connections, both processes suspended for
longer than the limit, steps of the wall clock (in the two processes, never of this machine), a journal that cannot be
written. Bound: no restart. A full run (50 runs; 30 minutes) is kept beside this file in watchdog.json. Exit status: 0
within the bounds, else 1. POSIX only.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import random
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

FIGURES = Path(__file__).with_suffix(".json")
FULL_RUNS, FULL_MINUTES = 50, 30.0
WAIT_S = 60.0  # for an answer; far above every bound
SLOW_S = 5.0  # the slow gateway, in the episode that needs it
CLIENTS = 8
SLOW_CLIENTS = 900  # the worker accepts 1,000 connections
LARGE_BYTES = 1_000_000  # below LUMEN_MAX_BODY_BYTES
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


# ---------------------------------------------------------------- hang


def hang_once(run: int, it: MeasuredProxy, watchdog_s: float, chance: random.Random) -> dict[str, object]:
    """Let the worker hang at a random moment; seconds from then to the journal's event and to the next answer."""
    kind, load = ("stop", "spin")[run % 2], ("idle", "busy")[run // 2 % 2]
    with busy_cores() if load == "busy" else contextlib.nullcontext():
        until(lambda: len(it.events("standby_ready")) > len(it.events("worker_died")))
        threading.Event().wait(chance.uniform(0, watchdog_s / 2))
        before, began = it.worker(), time.monotonic()
        if kind == "stop":
            os.kill(before, signal.SIGSTOP)
        else:
            it.fault("spin", before)
        until(lambda: it.worker() != before)
        answered_s = time.monotonic() - began
        hung = it.events("worker_hung")[-1]
    found = {
        "kind": kind,
        "load": load,
        "noticed_s": round(hung["mono"] - began, 3),
        "answered_s": round(answered_s, 3),
    }
    return found | {"process_state": hung["process_state"], "stack": bool(hung["stack"])}


def hang(runs: int, watchdog_s: float, seed: int) -> dict[str, Any]:
    """All runs, and the median and the worst of both times by load."""
    chance, rows = random.Random(seed), []  # noqa: S311 - moments, not secrets
    with proxy(watchdog_s) as it:
        for run in range(runs):
            rows.append(hang_once(run, it, watchdog_s, chance))
            print(f"{run + 1:3d}/{runs} {rows[-1]}", file=sys.stderr, flush=True)
    summary: dict[str, object] = {"bound_s": 2 * watchdog_s}
    for load in sorted({str(row["load"]) for row in rows}):
        for name in ("noticed_s", "answered_s"):
            times = [float(str(row[name])) for row in rows if row["load"] == load]
            summary[f"{load} {name}"] = {"median": round(statistics.median(times), 3), "worst": max(times)}
    late = sum(float(str(row["answered_s"])) > 2 * watchdog_s for row in rows)
    without = sum(row["kind"] == "spin" and not row["stack"] for row in rows)
    return {
        "runs": runs,
        "watchdog_s": watchdog_s,
        "late": late,
        "spun_without_stack": without,
        **summary,
        "rows": rows,
    }


# ---------------------------------------------------------------- false kills


class Episodes:
    """What a watchdog must not take for a hang; each episode lasts longer than the limit."""

    def __init__(self, it: MeasuredProxy, worker: int, watchdog_s: float) -> None:
        self.it, self.both, self.worker, self.long_s = it, (it.pid, worker), worker, 2 * watchdog_s

    def pause(self, seconds: float | None = None) -> None:
        """Let time pass."""
        threading.Event().wait(self.long_s if seconds is None else seconds)

    def clients(self, body: bytes) -> None:
        """Clients that ask without a pause."""
        end = time.monotonic() + self.long_s

        def ask() -> None:
            while time.monotonic() < end:
                with contextlib.suppress(OSError, HTTPException):
                    self.it.ask("POST", "/v1/chat/completions", body)

        askers = [threading.Thread(target=ask) for _ in range(CLIENTS)]
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join()

    def load(self, text: str = "안녕하세요") -> None:
        """Short questions."""
        self.clients(json.dumps({"messages": [{"role": "user", "content": text}]}).encode())

    def large_bodies(self) -> None:
        """Bodies of a megabyte that are parsed whole."""
        with busy_cores():
            self.load("x" * LARGE_BYTES)

    def busy(self) -> None:
        """Load while each core is busy."""
        with busy_cores():
            self.load()

    def compute(self) -> None:
        """Eight threads of the worker compute."""
        self.it.fault(f"compute {self.long_s}", self.worker)
        self.load()

    def slow_gateway(self) -> None:
        """Every thread that may wait for the gateway waits."""
        Gateway.delay_s = SLOW_S
        self.load()
        Gateway.delay_s = 0.0

    def connections(self) -> None:
        """Connections that never send a request, up to the limit of the worker."""
        with ExitStack() as stack, contextlib.suppress(OSError):
            for _ in range(SLOW_CLIENTS):
                stack.enter_context(socket.create_connection(("127.0.0.1", self.it.port), timeout=1))
            self.load()

    def suspend(self) -> None:
        """Both processes are suspended, and then resumed in either order."""
        for pid in self.both:
            os.kill(pid, signal.SIGSTOP)
        self.pause()
        for pid in random.sample(self.both, 2):
            os.kill(pid, signal.SIGCONT)
        self.pause()

    def stutter(self) -> None:
        """Both are suspended again and again, for about a tick."""
        for _ in range(8):
            for pid in self.both:
                os.kill(pid, signal.SIGSTOP)
            self.pause(self.long_s / 8)
            for pid in self.both:
                os.kill(pid, signal.SIGCONT)
            self.pause(self.long_s / 40)

    def clock(self) -> None:
        """The wall clock of both steps forward and back."""
        for shift_s in (86_400, -86_400, 0):
            self.it.fault(f"step {shift_s}", *self.both)
            self.pause()

    def no_journal(self) -> None:
        """The folder of the logs is a file for a while, as on a disk that takes no writes."""
        logs = self.it.folder / "logs"
        logs.rename(self.it.folder / "kept")
        logs.touch()
        self.load()
        logs.unlink()
        (self.it.folder / "kept").rename(logs)


ALL = (
    "load",
    "large_bodies",
    "busy",
    "compute",
    "slow_gateway",
    "connections",
    "suspend",
    "stutter",
    "clock",
    "no_journal",
)


def false_kills(minutes: float, watchdog_s: float, seed: int) -> dict[str, Any]:
    """Episodes in a random order until the time is over, each at least once; how often a worker was replaced."""
    chance = random.Random(seed)  # noqa: S311 - an order, not a secret
    count, replaced = Counter[str](), Counter[str]()
    with proxy(watchdog_s) as it:
        worker, end = it.worker(), time.monotonic() + 60 * minutes
        while time.monotonic() < end or len(count) < len(ALL):
            for name in chance.sample(ALL, len(ALL)):
                getattr(Episodes(it, worker, watchdog_s), name)()
                count[name] += 1
                replaced[name] += (after := it.worker()) != worker
                worker = after
                print(f"{name}: {replaced[name]} of {count[name]} replaced", file=sys.stderr, flush=True)
        hung = [
            {key: event[key] for key in ("silent_s", "process_state", "stack")} for event in it.events("worker_hung")
        ]
    figures = {"minutes": minutes, "watchdog_s": watchdog_s, "episodes": dict(count), "replaced": dict(+replaced)}
    return {**figures, "restarts": sum(replaced.values()), "hung": hung}


def main() -> int:
    """Run one job, keep a full run, say the verdict."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", choices=("hang", "false-kills"))
    parser.add_argument("--runs", type=int, default=FULL_RUNS)
    parser.add_argument("--minutes", type=float, default=FULL_MINUTES)
    parser.add_argument("--watchdog-s", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    if options.job == "hang":
        result = hang(options.runs, options.watchdog_s, options.seed)
        is_good, is_full = not result["late"], options.runs >= FULL_RUNS or options.watchdog_s >= 10
    else:
        result = false_kills(options.minutes, options.watchdog_s, options.seed)
        is_good, is_full = not result["restarts"], options.minutes >= FULL_MINUTES
    when, where = datetime.now(UTC).date().isoformat(), f"{platform.system()}, {os.cpu_count()} cores"
    result = {"when": when, "where": f"{where}, Python {platform.python_version()}", "seed": options.seed, **result}
    print(json.dumps({key: value for key, value in result.items() if key != "rows"}, indent=2))
    if is_full:
        kept = json.loads(FIGURES.read_text("utf-8")) if FIGURES.exists() else {}
        kept[f"{options.job} {options.watchdog_s:g} s"] = result
        FIGURES.write_text(json.dumps(kept, indent=2) + "\n", "utf-8")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
