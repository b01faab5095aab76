"""How many connections and threads the server of a worker has. Imports nothing that serves: `restart` asks, too."""

from __future__ import annotations

import select
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lumen_proxy.errors import Exit, Fatal

if TYPE_CHECKING:
    from lumen_proxy.config import Settings

POLL = hasattr(select, "poll")
CONNECTIONS = 1000 if POLL else 400  # select() on Windows takes 512
SPARE_CONNECTIONS = 100  # beyond those of chats: when no more are left, none rests for want of a request
SPARE_THREADS = 4  # beyond those that chats can hold: /health, errors, metrics


@dataclass(frozen=True)
class Limits:
    """What the server allows. `threads` is also the number of requests that can be at work at once."""

    threads: int
    header_timeout_s: float
    max_body_bytes: int


def limits(settings: Settings) -> Limits:
    """What the server is to allow. Raises Fatal (78): more chats than connections, and /health would find none."""
    calls, queue = settings.max_concurrency, settings.max_queue
    most = CONNECTIONS - SPARE_CONNECTIONS
    if 2 * calls + queue > most:  # a call has a connection to its client, and one to the gateway
        set_to = f"LUMEN_MAX_CONCURRENCY is {calls} and LUMEN_MAX_QUEUE is {queue}"
        raise Fatal(f"{set_to}, but twice the first and the second may be {most} together; lower one", Exit.CONFIG)
    return Limits(calls + queue + SPARE_THREADS, settings.header_timeout_s, settings.max_body_bytes)
