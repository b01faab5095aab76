"""The latency that two versions of the proxy add to a chat, in turns in one run: new ÷ old at 1 and at 16 clients.

    python benchmarks/latency_ratio.py OLD NEW [--rounds 30] [--calls 640] [--json]

OLD and NEW are source trees. Each serves before the same local gateway, a process of its own. A round asks the gateway
itself, then both proxies, in an order that changes with each round. The latency of a round is its median; what a proxy
adds is the median of its rounds less that of the gateway alone. A third row has a gateway that closes each connection,
so that each call makes a new one. The figures of the last full run are kept beside this file in latency_ratio.json.
Exit status: 0 when no ratio at 1 and 16 clients is above the budget, else 1.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import socket
import socketserver
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

FIGURES = Path(__file__).with_suffix(".json")
BUDGET = 1.10
FULL_ROUNDS = 30  # in turns: what else the machine does falls on both versions alike
CALLS = 640  # 40 for each of 16 clients: with 4, the order in which connections are accepted decides the median
ROWS = ((1, "kept"), (16, "kept"), (1, "closed"))  # clients, and what the gateway does with its connections
READY_LINE = re.compile(r"http://127\.0\.0\.1:(\d+)")
WARM_CALLS = 200  # for each of the parts, before anything is counted
US = 1_000_000

ANSWER = {"success": True, "persona": {"name": "n"}, "response": "안녕하세요", "sources": [], "timestamp": "x"}
BODY = json.dumps(ANSWER).encode()


class _InstantGateway(socketserver.StreamRequestHandler):
    """Reads requests whose body has no braces but its own, and answers each at once."""

    disable_nagle_algorithm = True

    def handle(self) -> None:
        closing = self.server.closing  # type: ignore[attr-defined]
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n" % len(BODY)
        answer = head + (b"Connection: close\r\n\r\n" if closing else b"\r\n") + BODY
        received = b""
        while data := self.request.recv(65_536):
            received += data
            if received.endswith(b"}"):
                received = b""
                self.request.sendall(answer)
                if closing:
                    return


class _ThreadingServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128
    allow_reuse_address = True

    def __init__(self, *, closing: bool) -> None:
        self.closing = closing
        super().__init__(("127.0.0.1", 0), _InstantGateway)


def serve_gateway(kind: str) -> None:
    """The gateway's own process: print the port, then answer until killed."""
    with _ThreadingServer(closing=kind == "closed") as server:
        print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
        server.serve_forever()


@contextmanager
def serving(command: list[str], environ: dict[str, str], folder: str) -> Iterator[int]:
    """A process that prints its address; gives its port."""
    with subprocess.Popen(command, env=environ, cwd=folder, stdout=subprocess.PIPE, encoding="utf-8") as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            yield int(READY_LINE.findall(line)[0])
        finally:
            process.terminate()


def proxy_environ(tree: Path, gateway_port: int, folder: str) -> dict[str, str]:
    """What one proxy is started with: its code, its folders, the gateway, no log of each call."""
    own = {"LUMEN_STATE_DIR": folder, "LUMEN_LOG_DIR": folder, "LUMEN_LOG_LEVEL": "warning", "PYTHONPATH": str(tree)}
    return {**os.environ, **own, "LUMEN_GATEWAY_URL": f"http://127.0.0.1:{gateway_port}"}


def check_tree(tree: Path, environ: dict[str, str], folder: str) -> None:
    """End with a message if a process with this environment imports another tree."""
    look = [sys.executable, "-c", "import lumen_proxy; print(lumen_proxy.__file__)"]
    found = subprocess.run(look, env=environ, cwd=folder, capture_output=True, encoding="utf-8", check=True).stdout
    if not Path(found.strip()).is_relative_to(tree):
        sys.exit(f"{tree}: its lumen_proxy is not the one that is imported ({found.strip()})")


def request_for(path: str, body: object) -> bytes:
    """One POST as bytes."""
    content = json.dumps(body).encode()
    fields = f"Host: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    return f"POST {path} HTTP/1.1\r\n{fields}".encode() + content


CHAT = request_for("/v1/chat/completions", {"messages": [{"role": "user", "content": "안녕하세요"}]})
DIRECT = request_for("/chat", {"message": "안녕하세요"})


def ask(port: int, request: bytes, calls: int, latencies_s: list[float], *, reconnect: bool) -> None:
    """Ask so many times on one connection, or each time on a new one; add each latency."""
    with ExitStack() as stack:
        for number in range(calls):
            if number == 0 or reconnect:
                stack.close()
                sock = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            began = time.perf_counter()
            sock.sendall(request)
            _read(sock)
            latencies_s.append(time.perf_counter() - began)


def _read(sock: socket.socket) -> None:
    received = b""
    while b"\r\n\r\n" not in received:
        received += sock.recv(65_536)
    head, _, body = received.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(head.decode("latin-1"))
    length = int(re.findall(rb"(?i)\r\ncontent-length: *(\d+)", head)[0])
    while len(body) < length:
        body += sock.recv(65_536)


def median_s(port: int, request: bytes, calls: int, clients: int, *, reconnect: bool) -> float:
    """The median latency of so many calls of so many clients at once."""
    latencies_s: list[float] = []
    each = calls // clients
    jobs = [
        threading.Thread(target=ask, args=(port, request, each, latencies_s), kwargs={"reconnect": reconnect})
        for _ in range(clients)
    ]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    if len(latencies_s) != each * clients:
        raise RuntimeError("a call failed")
    return statistics.median(latencies_s)


def row(trees: dict[str, Path], clients: int, kind: str, rounds: int, calls: int) -> dict[str, object]:
    """All rounds of one row."""
    with ExitStack() as stack:
        folders = {name: stack.enter_context(tempfile.TemporaryDirectory()) for name in ("gateway", *trees)}
        command = [sys.executable, str(Path(__file__).resolve()), "--gateway", kind]
        gateway = stack.enter_context(serving(command, dict(os.environ), folders["gateway"]))
        ports = {"gateway": gateway}
        for name, tree in trees.items():
            environ = proxy_environ(tree, gateway, folders[name])
            check_tree(tree, environ, folders[name])
            serve = [sys.executable, "-m", "lumen_proxy", "serve", "--port", "0"]
            ports[name] = stack.enter_context(serving(serve, environ, folders[name]))

        def measure(name: str, count: int) -> float:
            is_gateway = name == "gateway"
            request = DIRECT if is_gateway else CHAT
            return median_s(ports[name], request, count, clients, reconnect=is_gateway and kind == "closed")

        for name in ports:
            measure(name, max(WARM_CALLS, clients))
        medians_s: dict[str, list[float]] = {name: [] for name in ports}
        for number in range(rounds):
            for name in ("gateway", *(trees if number % 2 else reversed(trees))):
                medians_s[name].append(measure(name, calls))
    return summary(clients, kind, medians_s)


def summary(clients: int, kind: str, medians_s: dict[str, list[float]]) -> dict[str, object]:
    """Microseconds that each adds, and their ratio; `quartiles` are of the ratios of single rounds."""
    alone_s = statistics.median(medians_s["gateway"])
    added_s = {name: statistics.median(medians_s[name]) - alone_s for name in ("old", "new")}
    pairs = zip(medians_s["gateway"], medians_s["old"], medians_s["new"], strict=True)
    ratios = [(new - gateway) / (old - gateway) for gateway, old, new in pairs]
    quartiles = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
    return {
        "clients": clients,
        "gateway_connections": kind,
        "gateway_alone_us": round(alone_s * US),
        "old_added_us": round(added_s["old"] * US),
        "new_added_us": round(added_s["new"] * US),
        "ratio": round(added_s["new"] / added_s["old"], 3),
        "quartiles": [round(one, 3) for one in quartiles],
    }


def main() -> int:
    """Run all rows, keep a full run, say the verdict."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path, nargs="?")
    parser.add_argument("new", type=Path, nargs="?")
    parser.add_argument("--rounds", type=int, default=FULL_ROUNDS)
    parser.add_argument("--calls", type=int, default=CALLS, help="of each part in each round")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--gateway", choices=("kept", "closed"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.gateway:
        serve_gateway(options.gateway)
        return 0
    if not options.old or not options.new:
        parser.error("OLD and NEW are needed: two source trees")
    trees = {"old": options.old.resolve(), "new": options.new.resolve()}
    rows = []
    for clients, kind in ROWS:
        rows.append(row(trees, clients, kind, options.rounds, options.calls))
        print(rows[-1], file=sys.stderr, flush=True)
    result = {
        "when": datetime.now(UTC).date().isoformat(),
        "where": f"{platform.system()}, Python {platform.python_version()}, {os.cpu_count()} cores",
        "rounds": options.rounds,
        "calls": options.calls,
        "rows": rows,
    }
    if options.rounds >= FULL_ROUNDS:
        FIGURES.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    worst = max(float(str(one["ratio"])) for one in rows if one["gateway_connections"] == "kept")
    print(json.dumps(result, indent=2) if options.json else f"new ÷ old: at most {worst:g} (budget {BUDGET:g})")
    return 0 if worst <= BUDGET else 1


if __name__ == "__main__":
    sys.exit(main())
