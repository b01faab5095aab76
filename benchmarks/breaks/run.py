"""Every client at every server: what differs, and which releases were seen."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from breaks.differences import Difference, by_server
from breaks.selection import Served
from breaks.visits import visits_of
from tests.contract.clients.rows import CLIENTS, Client
from tests.fixtures.guard import clean

AT_ONCE = 2  # clients: half of their time is a pause before a retry
Found = dict[str, dict[str, list[Difference]]]


def run(selected: Sequence[Served], names: Sequence[str]) -> dict[str, Found]:
    """Client → server → act → differences; raises RuntimeError when a client is not set up."""
    clients = {name: client for name, client in CLIENTS.items() if not names or name in names}
    for client in clients.values():
        if client.missing:
            raise RuntimeError(client.missing)
    with socket.socket() as dead:  # nothing listens there
        dead.bind(("127.0.0.1", 0))
        clean(os.environ, f"http://127.0.0.1:{dead.getsockname()[1]}")
        with ThreadPoolExecutor(AT_ONCE) as pool:
            jobs = {name: pool.submit(_visited, name, client, selected) for name, client in clients.items()}
            return {name: job.result() for name, job in jobs.items()}


def _visited(name: str, client: Client, selected: Sequence[Served]) -> Found:
    shown = 0

    def progress(done: int) -> None:
        nonlocal shown
        if done >= shown + STEP:
            shown = done
            print(f"breaks: {name}: {done} acts", flush=True)

    visits = visits_of(client, selected, progress)
    found = by_server(visits, {each.name: each.baseline for each in selected})
    print(f"breaks: {name}: done, {len(visits)} acts, {len(found)} servers make a difference", flush=True)
    return found


STEP = 250  # acts between two lines of progress
