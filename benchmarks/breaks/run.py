"""Every client at every server: what differs, and which releases were seen."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

from breaks.differences import Difference, by_server
from breaks.selection import selection
from breaks.visits import visits_of
from tests.contract.clients.rows import CLIENTS
from tests.fixtures.guard import clean

AT_ONCE = 2  # clients: half of their time is a pause before a retry
STEP_ACTS = 250  # between two lines of progress
Found = dict[str, dict[str, list[Difference]]]


def run(names: Sequence[str], servers: Sequence[str]) -> dict[str, Found]:
    """Client → server → act → differences, of these clients and servers; raises RuntimeError when one is not set up."""
    for name in names:
        if missing := CLIENTS[name].missing:
            raise RuntimeError(missing)
    with socket.socket() as dead:  # nothing listens there
        dead.bind(("127.0.0.1", 0))
        clean(os.environ, f"http://127.0.0.1:{dead.getsockname()[1]}")
        # A process each: the references wait by select(2), which knows file descriptors below 1,024 only.
        with ProcessPoolExecutor(AT_ONCE, max_tasks_per_child=1) as pool:
            jobs = {name: pool.submit(_visited, name, servers) for name in names}
            return {name: job.result() for name, job in jobs.items()}


def _visited(name: str, servers: Sequence[str]) -> Found:
    selected = [each for each in selection() if each.name in servers]
    shown = 0

    def progress(done: int) -> None:
        nonlocal shown
        if done >= shown + STEP_ACTS:
            shown = done
            print(f"breaks: {name}: {done} acts", flush=True)

    visits = visits_of(CLIENTS[name], selected, progress)
    found = by_server(visits, {each.name: each.baseline for each in selected})
    print(f"breaks: {name}: done, {len(visits)} acts, {len(found)} servers make a difference", flush=True)
    return found
