"""What the supervisor says about its workers: to the journal, to other commands and to people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lumen_proxy.ipc import restarts_before
from lumen_proxy.supervisor import time_limits

if TYPE_CHECKING:
    from lumen_proxy.errors import Exit
    from lumen_proxy.supervisor.backoff import GiveUp, Restart
    from lumen_proxy.supervisor.context import SupervisorContext
    from lumen_proxy.supervisor.spawn import WorkerProcess


class Reporter:
    """Reports the events of the loop."""

    def __init__(self, context: SupervisorContext) -> None:
        self._context = context
        self._write = context.journal.write

    def report_ready(self, worker: WorkerProcess, generation: int) -> None:
        """A worker serves."""
        listener = self._context.listener
        self._write(
            "ready",
            pid=worker.pid,
            generation=generation,
            restarts=restarts_before(generation),
            port=listener.port,
            hosts=listener.hosts,
            supervisor_pid=self._context.identity.supervisor_pid,
        )
        self._context.observer.publish_generation(generation)

    def report_exit(self, worker: WorkerProcess, generation: int, status: int, *, was_serving: bool) -> None:
        """A worker ended unexpectedly."""
        self._write("worker_died", pid=worker.pid, generation=generation, was_serving=was_serving, **cause_of(status))

    def report_permanent(self, status: int) -> None:
        """A worker ended with a status that a restart does not change."""
        reason = f"the worker ended with {describe_status(status)}; a restart does not help"
        self._context.observer.record_end("failed", reason)

    def report_restart(self, problem: str, restart: Restart) -> None:
        """A worker will be started."""
        self._write(
            "restart_scheduled",
            delay_s=restart.delay_s,
            delay_cap_s=restart.delay_cap_s,
            deaths_in_window=restart.exits_in_window,
        )
        self._context.notify(f"{problem}; a new worker starts in {restart.delay_s:.2f} s")

    def report_end(self, problem: str, end: GiveUp) -> None:
        """No further worker is started."""
        count = describe_limit(end)
        self._context.observer.record_end("gave up", f"{count}; last: {problem}")
        self._write("gave_up", deaths=end.exits, window_s=end.window_s, reason=count)
        self._context.notify(f"{problem}; giving up after {count}; see {self._context.journal.path}")

    def report_drained(self, cut: int | None) -> None:
        """A drain has ended."""
        self._write("drained", cut=cut)

    def report_handover(self, instance: str, pid: int) -> None:
        """Another supervisor has the port."""
        self._write("handed_over", to_instance=instance, to_pid=pid)
        self._context.notify(f"port {self._context.listener.port} is handed over to pid {pid}, instance {instance}")

    def report_stop(self, reason: str) -> None:
        """A stop was requested."""
        self._write("draining", reason=reason)


def cause_of(status: int) -> dict[str, int | Exit]:
    """The fields of the journal for the end of a worker."""
    return {"signal": -status} if status < 0 else {"exit_status": status}


def describe_status(status: int) -> str:
    """The exit status or the signal as text."""
    return f"signal {-status}" if status < 0 else f"exit status {status}"


def describe_limit(end: GiveUp) -> str:
    """The limit that was reached, as text."""
    if end.were_boots:
        return f"{end.exits} boots in a row were not ready within {time_limits.BOOT_S:g} s"
    return f"{end.exits} worker exits in {end.window_s:g} s"
