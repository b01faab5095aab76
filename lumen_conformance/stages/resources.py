"""Limits of resources that a stage sets on running processes (Linux: prlimit), so that also those of root have them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from itertools import count
from pathlib import Path

import psutil
import pytest

from lumen_conformance.processes.process_tree import PROC, ProcessRef

CAN_LIMIT = hasattr(psutil, "RLIMIT_NOFILE") and Path(PROC, "self", "schedstat").exists()
NS = 1_000_000_000


def need_limits() -> None:
    """Skip the stage where the limits of another process cannot be set."""
    if not CAN_LIMIT:
        pytest.skip("this system cannot set the limits of a running process")


def limit_descriptors(refs: Iterable[ProcessRef], spare: int) -> None:
    """Let each process open so many descriptors more; those that are open stay."""
    for ref in refs:
        with contextlib.suppress(FileNotFoundError):  # it has ended
            _limit(ref, psutil.RLIMIT_NOFILE, _lowest_free(ref.pid, spare))


def _lowest_free(pid: int, spare: int) -> int:
    """Return the number with so many free descriptors below: the limit is about numbers, and the lowest is used."""
    used = {int(entry.name) for entry in Path(PROC, str(pid), "fd").iterdir()}
    free = (number for number in count() if number not in used)
    return next(number for left, number in enumerate(free) if left == spare)


def limit_files(refs: Iterable[ProcessRef], size_bytes: int) -> None:
    """Let each process write no file beyond this size: with 0 every write to a file fails, as on a full disk."""
    for ref in refs:
        _limit(ref, psutil.RLIMIT_FSIZE, size_bytes)


def unlimit_files(refs: Iterable[ProcessRef]) -> None:
    """Remove that limit."""
    for ref in refs:
        _limit(ref, psutil.RLIMIT_FSIZE, None)


def _limit(ref: ProcessRef, resource: int, soft: int | None) -> None:
    """Set a soft limit, or raise it to the hard one; nothing happens to a process that has ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        if process := ref.process():
            _, hard = process.rlimit(resource)
            process.rlimit(resource, (hard if soft is None else soft, hard))


def runnable_s(refs: Iterable[ProcessRef]) -> dict[str, float]:
    """Return how long each thread of these processes has run or waited for a processor, by the number of the thread.

    A thread that spins is always runnable, however many others share the processor; one that waits for a file or a
    socket is not. The numbers are the first two of proc_pid_schedstat, in nanoseconds.
    """
    found = {}
    for ref in refs:
        for task in Path(PROC, str(ref.pid), "task").glob("*"):
            with contextlib.suppress(OSError):  # it has ended
                ran_ns, waited_ns, _ = map(int, Path(task, "schedstat").read_text().split())
                found[task.name] = (ran_ns + waited_ns) / NS
    return found


def busiest_share(before: dict[str, float], after: dict[str, float], elapsed_s: float) -> float:
    """Return the largest share of the time for which one thread was runnable: 1 for a thread that spins."""
    return max((after[task] - began_s for task, began_s in before.items() if task in after), default=0.0) / elapsed_s


def list_sizes(folder: Path) -> dict[str, int]:
    """Return the size of each file of a folder in bytes, by name."""
    return {entry.name: entry.stat().st_size for entry in os.scandir(folder) if entry.is_file()}
