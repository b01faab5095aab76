"""Every client at every server: what differs, and which releases were seen."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

from breaks.differences import by_server
from breaks.record import keep
from breaks.selection import AGAIN, selection
from breaks.visits import visits_of
from tests.contract.clients.rows import CLIENTS
from tests.fixtures.guard import clean

AT_ONCE = 3  # clients: most of their time is a pause before a retry
STEP_ACTS = 250  # between two lines of progress


def run(names: Sequence[str]) -> None:
    """Ask these clients of every server, and keep what they found; raises RuntimeError when one is not set up."""
    for name in names:
        if missing := CLIENTS[name].missing:
            raise RuntimeError(missing)
    with socket.socket() as dead:  # nothing listens there
        dead.bind(("127.0.0.1", 0))
        clean(os.environ, f"http://127.0.0.1:{dead.getsockname()[1]}")
        # A process each: the references wait by select(2), which knows file descriptors below 1,024 only.
        with ProcessPoolExecutor(AT_ONCE, max_tasks_per_child=1) as pool:
            for job in [pool.submit(_visit, name) for name in names]:
                job.result()


def _visit(name: str) -> None:
    selected = selection()
    shown = 0

    def progress(done: int) -> None:
        nonlocal shown
        if done >= shown + STEP_ACTS:
            shown = done
            print(f"breaks: {name}: {done} acts", flush=True)

    visits = visits_of(CLIENTS[name], selected, progress)
    found = by_server(visits, {each.name: each.baseline for each in selected})
    print(f"breaks: {name}: done, {len(visits)} acts, {len(found)} servers make a difference", flush=True)
    if AGAIN in found:
        raise RuntimeError(f"{name}: the healthy server differs from itself, the run was disturbed: {found[AGAIN]}")
    keep(name, [each.name for each in selected], found)
