"""A hang of the worker that serves: noticed tick by tick, shown to other commands, and described before the kill.

The loop calls `is_hung` once a tick; after a hang it calls `is_described` until the stack has arrived or its time is
over, and then `report`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from lumen_proxy.ipc import Beat
from lumen_proxy.supervisor import self_probe, starvation
from lumen_proxy.supervisor.spawn import WorkerMessage
from lumen_proxy.supervisor.watchdog import Liveness, Watchdog

if TYPE_CHECKING:
    from collections.abc import Callable

    from lumen_proxy.supervisor.context import SupervisorContext
    from lumen_proxy.supervisor.spawn import WorkerProcess

DUMP_S = 0.5  # for the whole dump: some milliseconds on an idle machine; a process in the kernel never writes one
DUMP_POLL_S = 0.1  # a dump that has not grown for this long is complete
STOPPED = ("stopped", "tracing-stop")  # by a signal, by a debugger: it cannot write, and nobody continues it


class HangDetector:
    """Judges one worker after the other."""

    def __init__(self, context: SupervisorContext, post: Callable[[WorkerMessage], None]) -> None:
        self._context = context
        self._post = post
        self._watchdog = Watchdog(context.settings.watchdog_s, self._is_starved)
        self._is_silent = False
        self._silent_pid = 0
        self._runs: starvation.ThreadRuns | None = None
        self._process_state = ""
        self._dump_by = 0.0
        self._dump_size = 0
        self.description: str | None = None
        """What was found about a hung worker, until its exit is handled."""

    @property
    def tick_s(self) -> float:
        """Seconds between two looks."""
        return self._watchdog.tick_s

    def start(self) -> float:
        """A worker serves from now on; return the seconds to the first look."""
        self._watchdog.start(time.monotonic())
        self._is_silent = False
        return self.tick_s

    def record_sign(self) -> None:
        """The worker sent a heartbeat or answered a probe."""
        self._watchdog.record_sign(time.monotonic())

    def is_hung(self, worker: WorkerProcess) -> bool:
        """Judge the last tick. Probe a silent worker and show its silence; ask a hung one for its stack."""
        now = time.monotonic()
        verdict = self._watchdog.tick(now)
        if verdict is Liveness.SILENT:
            on_answer = lambda: self._post(WorkerMessage(worker, Beat()))  # noqa: E731 - the same sign as a heartbeat
            self_probe.start(self._context.listener.url, self.tick_s, on_answer)
        self._show(worker, now, is_silent=verdict is not Liveness.ALIVE)
        if verdict is Liveness.HUNG:
            self._request_dump(worker, now)
        return verdict is Liveness.HUNG

    def take_description(self) -> str | None:
        """The description of the worker that has just ended, if it had hung."""
        taken, self.description = self.description, None
        return taken

    def _show(self, worker: WorkerProcess, now: float, *, is_silent: bool) -> None:
        if is_silent is not self._is_silent:
            self._is_silent = is_silent
            self._silent_pid = worker.pid
            self._runs = starvation.read_main_thread(worker.pid)
            since = now - self._watchdog.silent_s(now)
            hang = {"worker_pid": worker.pid, "since_mono": since, "watchdog_s": self._context.settings.watchdog_s}
            self._context.observer.publish_hang(hang if is_silent else None)

    def _is_starved(self) -> bool:
        """Compare the serving loop of the silent worker with the beginning of its silence."""
        return starvation.is_starved(self._runs, starvation.read_main_thread(self._silent_pid))

    def _request_dump(self, worker: WorkerProcess, now: float) -> None:
        self._process_state = worker.process_state()
        can_write = self._process_state not in STOPPED and worker.request_dump()
        self._dump_by = now + DUMP_S if can_write else now
        self._dump_size = 0

    def is_described(self, worker: WorkerProcess) -> bool:
        """Whether the stack is complete or its time is over. Call this every DUMP_POLL_S."""
        size, before = worker.dump.size, self._dump_size
        self._dump_size = size
        return (size > 0 and size == before) or time.monotonic() >= self._dump_by

    def report(self, worker: WorkerProcess, generation: int) -> None:
        """Write what is known of the hung worker into the journal, before it is killed."""
        silent_s = round(self._watchdog.silent_s(time.monotonic()), 3)
        found = f"silent for {silent_s:.1f} s, process state {self._process_state}"
        self.description = f"hung worker {worker.pid} was replaced: {found}"
        self._context.journal.write(
            "worker_hung",
            pid=worker.pid,
            generation=generation,
            silent_s=silent_s,
            process_state=self._process_state,
            stack=worker.dump.summary() or None,
        )
        self._context.notify(f"worker {worker.pid} hangs: {found}; it is killed and replaced")
