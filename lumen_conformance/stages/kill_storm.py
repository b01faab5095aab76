"""Clients that keep sending requests while workers are killed, and what the kills leave in the supervisor."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import psutil

from lumen_conformance.http.capture import Capture
from lumen_conformance.processes.process_tree import ProcessRef
from lumen_conformance.targets.launch import LaunchedTarget
from lumen_conformance.waiting import observe

QUESTION = "또 왔어요"


@dataclass(frozen=True)
class RequestTimes:
    """When one request was sent and how it ended, for the timeline; ``ended_s`` counts from ``sent_mono_s``."""

    url: str
    sent_mono_s: float
    ended_s: float
    status: int | None
    ended: str


class Clients:
    """Threads that send chats, each on a new connection: only a new connection can be refused."""

    def __init__(self, proxy: LaunchedTarget, number: int, timeout_s: float) -> None:
        self.captures: list[Capture] = []
        self.in_flight = 0
        self._answered: list[tuple[float, float]] = []  # when each was sent and complete; refused ones are many more
        self._proxy, self._number, self._timeout_s = proxy, number, timeout_s
        self._stopped = threading.Event()
        self._change = threading.Condition()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Send chats until the end of the block; each client ends after its current chat."""
        with ThreadPoolExecutor(self._number) as pool:
            for _ in range(self._number):
                pool.submit(self._run)
            try:
                yield
            finally:
                self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            with self._change:
                self.in_flight += 1
            capture = self._proxy.chat(QUESTION, timeout_s=self._timeout_s)
            with self._change:
                self.in_flight -= 1
                self.captures.append(capture)
                if is_answered(capture):
                    self._answered.append((capture.sent_mono_s, capture.sent_mono_s + capture.elapsed_s))
                self._change.notify_all()

    def times(self) -> tuple[RequestTimes, ...]:
        """Return the times of the requests that were sent; a refused one was not."""
        sent = (each for each in self.captures if each.sent_mono_s)
        return tuple(RequestTimes(one.url, one.sent_mono_s, one.ended_s, one.status, one.ended) for one in sent)

    def next_answer_s(self, since_mono_s: float, within_s: float, give_up: Callable[[], object]) -> float:
        """Return the seconds from then until the answer to a request that was sent after it, at most `within_s`.

        `give_up` returns something when no answer can come any more.
        """

        def arrived() -> float:
            return min((done_s for sent_s, done_s in self._answered if sent_s >= since_mono_s), default=0.0)

        with self._change:
            self._change.wait_for(lambda: arrived() or give_up(), within_s)
            return (arrived() or time.monotonic()) - since_mono_s


def is_answered(capture: Capture) -> bool:
    """Return whether the answer is complete and good."""
    return (capture.status, capture.ended) == (200, "complete")


@dataclass(frozen=True)
class ProcessUse:
    """What a process uses: open descriptors, memory, and children that nobody has waited for."""

    descriptors: int
    resident_bytes: int
    zombies: int

    @classmethod
    def of(cls, ref: ProcessRef) -> ProcessUse:
        """Read it now (POSIX); zeros for a process that has ended."""
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(ref.pid)
            zombies = sum(child.status() == psutil.STATUS_ZOMBIE for child in process.children())
            return cls(process.num_fds(), process.memory_info().rss, zombies)
        return cls(0, 0, 0)

    def most(self, other: ProcessUse) -> ProcessUse:
        """Return the larger numbers of two moments, of which one may be in the middle of a restart; no zombie."""
        descriptors = max(self.descriptors, other.descriptors)
        return ProcessUse(descriptors, max(self.resident_bytes, other.resident_bytes), 0)


NO_USE: Final = ProcessUse(0, 0, 0)


def observe_use(ref: ProcessRef, most: ProcessUse, within_s: float) -> ProcessUse:
    """Wait until a process uses no more descriptors than before and has no zombie; return its last use."""
    uses = [ProcessUse.of(ref)]

    def is_back() -> bool:
        uses.append(ProcessUse.of(ref))
        return uses[-1].descriptors <= most.descriptors and uses[-1].zombies <= most.zombies

    observe("it uses what it has used before", is_back, within_s=within_s)
    return uses[-1]
