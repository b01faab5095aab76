"""Which processes of a launch a scenario kills or stops, and which process restarts them."""

from __future__ import annotations

import contextlib

import psutil

from lumen_conformance.processes.process_tree import ProcessRef, is_among
from lumen_conformance.targets.launch import LaunchedTarget


def find_victims(proxy: LaunchedTarget) -> tuple[ProcessRef, ...]:
    """Return the worker that /health of our own proxy names; of another server all processes that serve.

    A standby of our own proxy is left alone: it is the one that takes over.
    """
    return (proxy.worker(),) if "journal" in proxy.target.can else proxy.serving_processes()


def find_worker(proxy: LaunchedTarget) -> ProcessRef | None:
    """Return the process that answers, or None when nothing of the launch listens any more."""
    with contextlib.suppress(IndexError):
        return proxy.worker()
    return None


def describe_processes(proxy: LaunchedTarget) -> str:
    """Return a text about a launch of which nothing serves."""
    status, number = proxy.exit_status(), len(proxy.processes())
    if status is not None:
        return f"the server ended with exit status {status}"
    return (
        f"the server still runs with {number} process{'es' * (number > 1)}, none of which listens on port {proxy.port}"
    )


def find_supervisor(proxy: LaunchedTarget, worker: ProcessRef) -> ProcessRef:
    """Return the parent of a worker, which is the launched process unless a wrapper has started it."""
    process = worker.process()
    with contextlib.suppress(psutil.Error):
        parent = ProcessRef.of(process.ppid()) if process else proxy.ref
        return parent if is_among(parent, proxy.processes()) else proxy.ref
    return proxy.ref


def wait_standby(proxy: LaunchedTarget, within_s: float) -> bool:
    """Wait until our own proxy has a standby; return whether it has one. Of another server nothing is known."""
    return "journal" not in proxy.target.can or bool(proxy.journal.observe("standby_ready", within_s=within_s))
