"""Every client at every server: what differs, and which releases were seen."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

from breaks.differences import by_server
from breaks.record import keep, keep_more, served
from breaks.selection import AGAIN, Served, selection
from breaks.visits import visits_of
from lumen_conformance.isolation import clean
from tests.contract.clients.client_list import CLIENTS

AT_ONCE = 3  # clients: most of their time is a pause before a retry
STEP_ACTS = 250  # between two lines of progress
FILES = 4_096  # of a process that serves all: openai-node makes it open 1,050, as each server keeps its connections


def run(names: Sequence[str], *, only_new: bool = False) -> None:
    """Ask these clients of every server, and keep what they found; raises RuntimeError when one is not set up.

    ``only_new``  ask of the servers that are not in the record, beside the healthy ones, and add to the record
    """
    for name in names:
        if missing := CLIENTS[name].missing:
            raise RuntimeError(missing)
    with socket.socket() as dead:  # nothing listens there
        dead.bind(("127.0.0.1", 0))
        clean(os.environ, f"http://127.0.0.1:{dead.getsockname()[1]}")
        # A process each: threads of one would share its processor.
        with ProcessPoolExecutor(AT_ONCE, max_tasks_per_child=1) as pool:
            for job in [pool.submit(_visit, name, only_new) for name in names]:
                job.result()


def allow_files() -> None:
    """Let this process open as many files as it needs; raises RuntimeError when the system allows fewer."""
    import resource  # noqa: PLC0415 -- Windows has none, and `breaks pages` needs none

    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < FILES:
        raise RuntimeError(f"a process may open {most} files here, {FILES} are needed: raise `ulimit -Hn`")
    if now != resource.RLIM_INFINITY and now < FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, most))


def _visit(name: str, only_new: bool) -> None:  # noqa: FBT001 -- passed to another process
    allow_files()
    selected = unserved(name) if only_new else selection()
    if not selected:
        return
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
    if only_new:
        keep_more(name, [each.name for each in selection()], found)
    else:
        keep(name, [each.name for each in selected], found)


def unserved(client: str) -> tuple[Served, ...]:
    """The servers that a client was not asked of, and those that they are compared with; nothing when there is none."""
    kept, every = served(client), selection()
    new = [each for each in every if each.name not in kept]
    if not new:
        return ()
    needed = {"reference", AGAIN, *(each.baseline for each in new), *(each.name for each in new)}
    return tuple(each for each in every if each.name in needed)
