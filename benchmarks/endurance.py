"""Fifty thousand questions to one worker: do memory and descriptors stay flat, and what does the proxy cost?

    python benchmarks/endurance.py [--requests 50000] [--clients 8] [--json]

The proxy runs with its embedded gateway (`--sandbox`), so no network is used. In the same run the gateway is asked
directly, so that the cost of the proxy is a ratio and not a property of the machine. The figures of the last full run
are kept beside this file in endurance.json. Exit status: 0 when every question was answered and nothing grew, else 1.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path

import psutil

FIGURES = Path(__file__).with_suffix(".json")
FULL_RUN = 50_000
SAMPLES = 10
WARM_SHARE = 0.2  # caches, pools and the allocator fill up first; growth is counted from here
GROWTH_BUDGET_MIB = 8.0  # one leaked kilobyte a request would be 40 MiB over the rest of a full run
READY_S = 30.0
QUESTION = json.dumps({"model": "lumen-gateway", "messages": [{"role": "user", "content": "안녕하세요"}]}).encode()
MESSAGE = json.dumps({"message": "안녕하세요"}).encode()
JSON_HEADERS = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Sample:
    """The worker after so many questions: resident memory in MiB, open descriptors, threads."""

    asked: int
    rss_mib: float
    descriptors: int
    threads: int


@contextmanager
def proxy(folder: Path) -> Iterator[tuple[int, int]]:
    """A proxy with its embedded gateway; gives its port and the PID of its worker."""
    own = {"LUMEN_STATE_DIR": str(folder), "LUMEN_LOG_DIR": str(folder), "LUMEN_LOG_LEVEL": "warning"}
    command = [sys.executable, "-m", "lumen_proxy", "serve", "--sandbox", "--port", "0"]
    with subprocess.Popen(command, env={**os.environ, **own}, stdout=subprocess.PIPE, encoding="utf-8") as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            port = int(re.findall(r"http://127\.0\.0\.1:(\d+)", line)[0])
            health = HTTPConnection("127.0.0.1", port, timeout=READY_S)
            health.request("GET", "/health")
            pid = json.load(health.getresponse())["pid"]
            health.close()
            yield port, pid
        finally:
            process.terminate()


@dataclass(frozen=True)
class Question:
    """What is asked, and where on this machine."""

    port: int
    path: str
    body: bytes


def ask_all(question: Question, total: int, clients: int, on_share: Callable[[int], None]) -> int:
    """Ask `total` times over `clients` kept connections; return how many were not answered with 200."""
    lock, left, failed = threading.Lock(), iter(range(1, total + 1)), 0

    def client() -> None:
        nonlocal failed
        connection = HTTPConnection("127.0.0.1", question.port, timeout=READY_S)
        while True:
            with lock:
                number = next(left, None)
            if number is None:
                break
            connection.request("POST", question.path, question.body, JSON_HEADERS)
            answer = connection.getresponse()
            answer.read()
            with lock:
                failed += answer.status != 200
            if number % max(total // SAMPLES, 1) == 0:
                on_share(number)
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failed


def gateway_port(pid: int, proxy_port: int) -> int:
    """The port of the embedded gateway: the one that the worker is connected to."""
    connections = psutil.Process(pid).net_connections("tcp")
    ports = [one.raddr.port for one in connections if one.status == psutil.CONN_ESTABLISHED and one.raddr]
    return next(port for port in ports if port != proxy_port and any(c.laddr.port != proxy_port for c in connections))


def run(requests: int, clients: int) -> dict[str, object]:
    """One whole run; times in seconds, rates in questions a second."""
    samples: list[Sample] = []
    with tempfile.TemporaryDirectory() as folder, proxy(Path(folder)) as (port, pid):
        worker = psutil.Process(pid)

        def look(asked: int) -> None:
            count = getattr(worker, "num_fds", None) or worker.num_handles  # type: ignore[attr-defined]
            mib = worker.memory_info().rss / 2**20
            samples.append(Sample(asked, round(mib, 2), count(), worker.num_threads()))
            print(
                f"{asked:6d} asked  {mib:6.1f} MiB  {samples[-1].descriptors} descriptors", file=sys.stderr, flush=True
            )

        begun = time.monotonic()
        failed = ask_all(Question(port, "/v1/chat/completions", QUESTION), requests, clients, look)
        through_s = time.monotonic() - begun
        upstream, direct = gateway_port(pid, port), max(requests // 10, 1)
        begun = time.monotonic()
        ask_all(Question(upstream, "/chat", MESSAGE), direct, clients, lambda _: None)
        direct_s = time.monotonic() - begun
    rates = requests / through_s, direct / direct_s
    warm = [sample for sample in samples if sample.asked >= requests * WARM_SHARE]
    return {
        "when": datetime.now(UTC).date().isoformat(),
        "where": f"{platform.system()}, Python {platform.python_version()}, {os.cpu_count()} cores",
        "requests": requests,
        "clients": clients,
        "failed": failed,
        "per_s": round(rates[0]),
        "gateway_alone_per_s": round(rates[1]),
        "ratio": round(rates[0] / rates[1], 3),
        "growth_mib": round(warm[-1].rss_mib - warm[0].rss_mib, 2),
        "descriptors": [warm[0].descriptors, warm[-1].descriptors],
        "samples": [asdict(sample) for sample in samples],
    }


def main() -> int:
    """Run, keep a full run, say the verdict."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=FULL_RUN)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    result = run(options.requests, options.clients)
    before, after = result["descriptors"] if isinstance(result["descriptors"], list) else (0, 0)
    flat = float(str(result["growth_mib"])) <= GROWTH_BUDGET_MIB and after <= before + options.clients
    if options.requests >= FULL_RUN:
        FIGURES.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    grown = f"grew {result['growth_mib']} MiB, descriptors {before} to {after}"
    words = f"{result['requests']} asked, {result['failed']} failed, {grown}, {result['ratio']} of the gateway alone"
    print(json.dumps(result, indent=2) if options.json else words)
    return 0 if flat and not result["failed"] else 1


if __name__ == "__main__":
    sys.exit(main())
