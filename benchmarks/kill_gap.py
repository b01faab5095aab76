"""How long clients wait after a worker was killed: from SIGKILL to the next answer, on a new connection.

    python benchmarks/kill_gap.py [--kills 100] [--peer NAME=PYTHON]... [--json]

Each server runs with one worker that serves, and is killed in turn with the others, so that what else the machine does
falls on all of them alike. The proxy runs three times: with its standby ready, asked for /health; the same, asked for a
chat; and without a standby (LUMEN_STANDBY=0). A kill waits until the journal has `standby_ready`. A peer runs from an
environment of its own: NAME is a key of PEERS, PYTHON its interpreter, for example
`gunicorn=.venv-league-supervisors/bin/python`.

A request that the killed worker had already accepted is lost, and sent again at once; a refused one is counted. The
budgets are those of a quiet machine with two cores. On a busy one `chrt -f 5 python benchmarks/kill_gap.py` keeps the
servers from waiting for a core. The figures of the last full run are kept beside this file in kill_gap.json. Exit
status: 0 when the figures of the proxy with its standby ready are within the budgets and below those of each peer.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psutil

from lumen_conformance.ports import reserved_port

FIGURES = Path(__file__).with_suffix(".json")
FULL_RUN = 100
MEDIAN_BUDGET_MS, WORST_BUDGET_MS = 10.0, 30.0  # of a quiet machine with two cores
MEMORY_BUDGET_MIB = 100.0  # supervisor, worker and standby together
ANSWER_S = 30.0
STANDBY, NO_STANDBY, CHAT = "proxy, standby ready", "proxy, no standby", "proxy, standby ready, chat"
HEALTH_REQUEST = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
QUESTION = json.dumps({"messages": [{"role": "user", "content": "안녕하세요"}]}).encode()
CHAT_REQUEST = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(QUESTION)
) + QUESTION
APPLICATION = """
import json, os
def app(environ, start_response):
    body = json.dumps({"pid": os.getpid()}).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
"""
PEERS: dict[str, Callable[[str, int], list[str]]] = {
    "gunicorn": lambda python, port: [python, "-m", "gunicorn", "-w", "1", "-b", f"127.0.0.1:{port}", "peer:app"]
}


@dataclass
class MeasuredServer:
    """One server and what was measured. `is_prepared` says whether it may be killed."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    request: bytes = HEALTH_REQUEST
    is_prepared: Callable[[], bool] = lambda: True
    gaps_s: list[float] = field(default_factory=list)
    refused: int = 0
    lost: int = 0

    def pid(self) -> int:
        """The PID of the worker that answers."""
        return int(json.loads(ask(self.port, HEALTH_REQUEST).partition(b"\r\n\r\n")[2])["pid"])

    def kill(self) -> None:
        """Kill the worker, and wait for the next answer."""
        wait_for(self.is_prepared, f"{self.name} is ready for a kill")
        pid = self.pid()
        began = time.perf_counter()
        os.kill(pid, signal.SIGKILL)
        while not self._is_answered():
            if time.perf_counter() - began > ANSWER_S:
                sys.exit(f"{self.name}: no answer within {ANSWER_S:g} s")
        self.gaps_s.append(time.perf_counter() - began)
        if self.pid() == pid:
            sys.exit(f"{self.name}: the killed worker {pid} answers")

    def _is_answered(self) -> bool:
        try:
            answer = ask(self.port, self.request)
        except ConnectionRefusedError:
            self.refused += 1
            return False
        except OSError:
            answer = b""
        self.lost += not answer
        return answer.startswith(b"HTTP/1.1 200")

    def figures(self) -> dict[str, object]:
        """The row of this server, in milliseconds."""
        ordered = sorted(self.gaps_s)
        return {
            "server": self.name,
            "kills": len(ordered),
            "median_ms": round(statistics.median(ordered) * 1000, 2),
            "p95_ms": round(ordered[max(0, -(-len(ordered) * 95 // 100) - 1)] * 1000, 2),
            "worst_ms": round(ordered[-1] * 1000, 2),
            "refused": self.refused,
            "lost": self.lost,
        }


def ask(port: int, request: bytes) -> bytes:
    """Send a request on a new connection; return the answer, empty if the connection was closed without one."""
    with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_S) as sock:
        sock.sendall(request)
        received = b""
        while data := sock.recv(65_536):
            received += data
        return received


def wait_for(claim: Callable[[], bool], name: str) -> None:
    """Poll without a load that a measurement would feel; end the run if the claim stays false."""
    deadline = time.monotonic() + ANSWER_S
    while not claim():
        if time.monotonic() > deadline:
            sys.exit(f"not true within {ANSWER_S:g} s: {name}")
        threading.Event().wait(0.02)


@contextmanager
def proxy(name: str, *, standby: bool, request: bytes = HEALTH_REQUEST) -> Iterator[MeasuredServer]:
    """The proxy with its embedded gateway, without back-off and limit of restarts."""
    with tempfile.TemporaryDirectory() as folder:
        own = {"LUMEN_STATE_DIR": folder, "LUMEN_LOG_DIR": folder, "LUMEN_LOG_LEVEL": "warning"}
        storm = {"LUMEN_MAX_RESTARTS": "0", "LUMEN_RESTART_BACKOFF_S": "0", "LUMEN_STANDBY": str(int(standby))}
        command = [sys.executable, "-m", "lumen_proxy", "serve", "--sandbox", "--port", "0"]
        with serving(command, {**os.environ, **own, **storm}, folder) as process:
            line = process.stdout.readline().decode() if process.stdout else ""
            server = MeasuredServer(name, int(re.findall(r"http://127\.0\.0\.1:(\d+)", line)[0]), process, request)
            journal = Path(folder) / f"journal-{server.port}.jsonl"
            if standby:
                server.is_prepared = lambda: journal.read_bytes().count(b'"standby_ready"') > len(server.gaps_s)
            yield server


@contextmanager
def peer(name: str, python: str) -> Iterator[MeasuredServer]:
    """Another server with one worker."""
    with tempfile.TemporaryDirectory() as folder, reserved_port(name) as port:
        (Path(folder) / "peer.py").write_text(APPLICATION)
        command = PEERS[name](str(Path(python).absolute()), port)
        with serving(command, dict(os.environ), folder) as process:
            yield MeasuredServer(name, port, process, is_prepared=lambda: is_accepted(port))


def is_accepted(port: int) -> bool:
    """Whether a server answers."""
    try:
        return ask(port, HEALTH_REQUEST).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


@contextmanager
def serving(command: list[str], environ: dict[str, str], folder: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is stopped at the end."""
    with (
        (Path(folder) / "stderr").open("wb") as errors,
        subprocess.Popen(command, env=environ, cwd=folder, stdout=subprocess.PIPE, stderr=errors) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()


def memory(server: MeasuredServer) -> dict[str, object]:
    """MiB of all processes of a server: PSS counts a shared page once, RSS once for each process."""
    wait_for(server.is_prepared, f"{server.name} has its standby")
    parent = psutil.Process(server.process.pid)
    processes = [parent, *parent.children(recursive=True)]
    full = [process.memory_full_info() for process in processes]
    pss_mib, rss_mib = (round(sum(getattr(one, kind) for one in full) / 2**20, 1) for kind in ("pss", "rss"))
    return {"processes": len(processes), "pss_mib": pss_mib, "rss_mib": rss_mib}


def run(kills: int, peers: dict[str, str]) -> dict[str, object]:
    """Kill each server in turn, so many times."""
    with ExitStack() as stack:
        servers = [
            stack.enter_context(proxy(STANDBY, standby=True)),
            stack.enter_context(proxy(CHAT, standby=True, request=CHAT_REQUEST)),
            stack.enter_context(proxy(NO_STANDBY, standby=False)),
            *(stack.enter_context(peer(name, python)) for name, python in peers.items()),
        ]
        load_before = os.getloadavg()[0]
        used = memory(servers[0])
        for number in range(kills):
            for server in servers:
                server.kill()
            print(f"{number + 1} of {kills}", end="\r", file=sys.stderr, flush=True)
        for server in servers:
            wait_for(server.is_prepared, f"{server.name} has its standby")
    return {
        "when": datetime.now(UTC).date().isoformat(),
        "where": f"{platform.system()}, Python {platform.python_version()}, {os.cpu_count()} cores",
        "scheduling": scheduling(),
        "load_before": round(load_before, 1),
        "load_after": round(os.getloadavg()[0], 1),
        "memory": used,
        "rows": [server.figures() for server in servers],
    }


def scheduling() -> str:
    """How this process and its children are scheduled: on a busy machine `chrt -f 5` comes close to a quiet one."""
    is_default = not hasattr(os, "sched_getscheduler") or os.sched_getscheduler(0) == os.SCHED_OTHER
    return "default" if is_default else "real-time"


def verdict(result: dict[str, object]) -> list[str]:
    """What is not within its budget."""
    rows = {row["server"]: row for row in result["rows"]}  # type: ignore[attr-defined]
    ours = rows.pop(STANDBY)
    found = [
        f"{what} {ours[what]} is above {budget:g}"
        for what, budget in (("median_ms", MEDIAN_BUDGET_MS), ("worst_ms", WORST_BUDGET_MS))
        if ours[what] > budget
    ]
    found += [
        f"median_ms is not below {name}"
        for name in PEERS
        if name in rows and ours["median_ms"] >= rows[name]["median_ms"]
    ]
    used = result["memory"]["pss_mib"]  # type: ignore[index]
    return [*found, f"memory {used} MiB is above {MEMORY_BUDGET_MIB:g}"] if used > MEMORY_BUDGET_MIB else found


def main() -> int:
    """Run, keep a full run, say the verdict."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=FULL_RUN, help="of each server")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON", help=f"of {', '.join(PEERS)}")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON only")
    options = parser.parse_args()
    result = run(options.kills, dict(one.split("=", 1) for one in options.peer))
    if options.kills >= FULL_RUN:
        FIGURES.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    problems = verdict(result)
    print(json.dumps(result, indent=2))
    if not options.json:
        print("; ".join(problems) or "within the budgets")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
