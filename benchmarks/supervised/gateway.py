"""The scripted gateway in a process of its own, so that its work takes no time of the clients.

``python -m supervised.gateway`` prints its address and serves until its standard input ends. Each answer is immediate,
but a chat with the text `HOLD` waits until the file of the first argument exists.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lumen_conformance.gateway import replies
from lumen_conformance.gateway.exchange import Exchange
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.waiting import until
from supervised.servers import ROOT

HOLD = "hold this question"
HELD_S = 60.0  # the longest grace period of the servers is that of gunicorn, 30 s


@contextmanager
def running_gateway(gate: Path) -> Iterator[str]:
    """Run it; yield its origin."""
    command = [sys.executable, "-m", "supervised.gateway", str(gate)]
    with subprocess.Popen(
        command, cwd=ROOT / "benchmarks", stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    ) as process:
        assert process.stdin
        assert process.stdout
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()


def main() -> None:
    """Serve until the end of standard input."""
    gate, closed = Path(sys.argv[1]), threading.Event()

    def reply(exchange: Exchange) -> None:
        if HOLD in exchange.call.message:
            until("the gate is open", lambda: gate.exists() or closed.is_set(), within_s=HELD_S)
        replies.echo(exchange)

    with ScriptedGateway(reply) as gateway:
        print(gateway.url, flush=True)
        sys.stdin.read()
        closed.set()


if __name__ == "__main__":
    main()
