"""A loop with a fake worker, for tests of the state table."""

from __future__ import annotations

import dataclasses
import json
import queue
import socket
from pathlib import Path
from typing import Any
from unittest.mock import Mock

from lumen_proxy import config
from lumen_proxy.ipc import Identity, Imported, Message, Ready
from lumen_proxy.logs.journal import Journal
from lumen_proxy.logs.rotation import RotatedFile
from lumen_proxy.supervisor.context import SupervisorContext
from lumen_proxy.supervisor.event_queue import Event
from lumen_proxy.supervisor.listener import Listener
from lumen_proxy.supervisor.loop import Loop
from lumen_proxy.supervisor.offer import Offer
from lumen_proxy.supervisor.predecessor import Predecessor
from lumen_proxy.supervisor.spawn import WorkerExit, WorkerMessage, WorkerProcess
from lumen_proxy.supervisor.stack_dump import StackDump
from lumen_proxy.supervisor.states import State, Timeout


class FakeWorker:
    """Takes the place of a WorkerProcess and records the commands that it receives."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.commands: list[str] = []
        self.dump = StackDump()
        self.state = "running"
        self.can_dump = True

    def promote(self, pid: int, identity: Identity) -> None:
        """Record the generation."""
        self.pid = pid
        self.commands.append(f"serve {identity.generation}/{identity.restarts}")

    def drain(self, within_s: float, *, handed_over: bool) -> None:
        """Record the deadline."""
        self.commands.append(f"drain {within_s:g}" + " handed over" * handed_over)

    def process_state(self) -> str:
        """The state that the test has set."""
        return self.state

    def request_dump(self) -> bool:
        """Record the request; whether this system has a signal for it."""
        self.commands.append("dump")
        return self.can_dump

    def kill(self) -> None:
        """Record the call."""
        self.commands.append("kill")

    def end(self, within_s: float) -> None:
        """Record the time to wait."""
        self.commands.append(f"end {within_s:g}")

    def close(self) -> None:
        """Record the call."""
        self.commands.append("close")


class Observer:
    """Takes the place of an Instance. Records what the loop reports, in order."""

    def __init__(self) -> None:
        self.generations: list[int] = []
        self.reports: list[str] = []
        self.hangs: list[dict[str, Any] | None] = []

    def publish_generation(self, generation: int) -> None:
        """Record it."""
        self.generations.append(generation)

    def enter_phase(self, phase: str) -> None:
        """Record it."""
        self.reports.append(phase)

    def publish_hang(self, hang: dict[str, Any] | None) -> None:
        """Record it."""
        self.hangs.append(hang)

    def note_failure(self, problem: str) -> None:
        """Record it."""
        self.reports.append(f"failure: {problem}")

    def record_end(self, kind: str, reason: str) -> None:
        """Record it."""
        self.reports.append(f"{kind}: {reason}")

    def restore_files(self) -> None:
        """Record it."""
        self.reports.append("restored")


class Stage:
    """A loop with a fake worker that boots, and the events that it receives."""

    predecessor: Predecessor | None = None

    def __init__(self, folder: Path, **settings: object) -> None:
        self.workers: list[FakeWorker] = []
        self.notices: list[str] = []
        self.observer = Observer()
        self.socket = Mock(spec=socket.socket)
        self.offer = Mock(spec=Offer)
        self.spawn_error: OSError | None = None
        values = {"restart_backoff_s": 0.0, "drain_s": 30.0, **settings}
        context = SupervisorContext(
            settings=dataclasses.replace(config.load({"LUMEN_STATE_DIR": str(folder)}), **values),  # type: ignore[arg-type]
            listener=Listener((self.socket,), ("127.0.0.1",), 8080),
            journal=Journal(RotatedFile(folder / "journal.jsonl", max_bytes=1_000_000, keep=0, days=14), "abc"),
            spawn=self.spawn,
            notify=self.notices.append,
            identity=Identity(instance="abc", supervisor_pid=1, started_at=0.0),
            observer=self.observer,  # type: ignore[arg-type]
            offer=self.offer,
            predecessor=self.predecessor,
        )
        self.events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self.loop = Loop(context, self.events)
        self.journal = context.journal.path
        self.loop._boot()  # noqa: SLF001

    def spawn(self) -> WorkerProcess:
        """Create a fake worker."""
        if self.spawn_error:
            raise self.spawn_error
        self.workers.append(FakeWorker(100 + len(self.workers)))
        worker: WorkerProcess = self.worker
        return worker

    @property
    def worker(self) -> Any:  # noqa: ANN401 - takes the place of a WorkerProcess
        """The newest worker."""
        return self.workers[-1]

    def feed(self, event: Event | None = None) -> State:
        """Let the loop handle this event, or a timeout; return its state."""
        self.loop._handle(event or Timeout())  # noqa: SLF001
        return self.loop.state

    def send(self, message: Message) -> State:
        """The worker sends a message."""
        return self.feed(WorkerMessage(self.worker, message))

    def feed_from(self, worker: Any, message: Message) -> State:  # noqa: ANN401 - a FakeWorker in the place of a WorkerProcess
        """This worker sends a message."""
        return self.feed(WorkerMessage(worker, message))

    def exit(self, status: int) -> State:
        """The worker ends."""
        return self.feed(WorkerExit(self.worker, status))

    def exit_of(self, worker: Any, status: int) -> State:  # noqa: ANN401 - a FakeWorker in the place of a WorkerProcess
        """This worker ends."""
        return self.feed(WorkerExit(worker, status))

    def serve(self) -> None:
        """The worker boots and serves."""
        self.send(Imported(self.worker.pid))
        assert self.send(Ready()) is State.SERVING

    def written(self) -> list[dict[str, Any]]:
        """The journal so far."""
        return [json.loads(line) for line in self.journal.read_text().split("\n") if line]

    def event_names(self) -> list[str]:
        """The names of the events in the journal."""
        return [line["event"] for line in self.written()]
