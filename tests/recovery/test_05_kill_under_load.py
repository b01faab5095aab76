"""Scenario 5: workers are killed again and again while clients keep connecting.

Cast: sixteen clients, each with a new connection for each question, because only a new connection can be refused; a
supervisor told never to give up and never to wait, because ten kills in a row are a storm of our own making. A client
whose request was in flight at a kill may lose it; nobody may be refused, and nobody may wait longer than a restart
takes.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http.capture import Capture
from lumen_conformance.registry import Measure, check
from lumen_conformance.stages.evidence import stage
from lumen_conformance.stages.observations import StartObservation, observe_start
from lumen_conformance.targets.launch import LaunchedTarget, Launcher

CLIENTS = 16
KILLS = 10
START_BUDGET_S = 10.0  # recovery.md 1.1
RESTART_BUDGET_S = 3.0  # scenario 1: for the median of ten, which one unlucky turn of the scheduler does not move
# The worst of ten: a successor is a cold start, so the budget of a start holds. Its 0.25 s of work compete with sixteen
# clients and with whatever else runs: 0.3 s on a quiet machine, 3.8 s were seen with two cores at a load of twelve.
WORST_BUDGET_S = START_BUDGET_S
WAIT_BUDGET_S = 2 * WORST_BUDGET_S  # a request may meet two kills: accepted anew just before the second one
STORM = {"LUMEN_MAX_RESTARTS": "0", "LUMEN_RESTART_BACKOFF_S": "0", "LUMEN_MAX_CONCURRENCY": str(CLIENTS)}

CUT = {"reset", "aborted"}


def answered(capture: Capture) -> bool:
    return (capture.status, capture.ended) == (200, "complete")


@dataclass(frozen=True)
class Storm:
    """What the clients saw, in seconds and in counts of requests by how they ended."""

    start: StartObservation
    kills: int = 0
    answered: int = 0
    refused: int = 0
    cut: int = 0
    other: tuple[str, ...] = ()
    in_flight_at_kills: int = 0
    next_answer_s: tuple[float, ...] = ()
    longest_wait_s: float = 0.0


class Clients:
    """Sixteen threads that ask, one new connection a question, until told to stop."""

    def __init__(self, proxy: LaunchedTarget) -> None:
        self.proxy = proxy
        self.seen: list[Capture] = []
        self.asking = 0
        self._stop = threading.Event()
        self._answer = threading.Condition()

    def ask_on(self) -> None:
        """What each of them does."""
        while not self._stop.is_set():
            with self._answer:
                self.asking += 1
            capture = self.proxy.chat("또 왔어요", timeout_s=WAIT_BUDGET_S + 4)
            with self._answer:
                self.asking -= 1
                self.seen.append(capture)
                self._answer.notify_all()

    def next_answer_s(self, since_mono_s: float) -> float:
        """Seconds from then until an answer arrived whose request was sent after it."""

        def arrived() -> float:
            late = (c.sent_mono_s + c.elapsed_s for c in self.seen if c.status == 200 and c.sent_mono_s >= since_mono_s)
            return min(late, default=0.0)

        with self._answer:
            self._answer.wait_for(arrived, WORST_BUDGET_S)
            return (arrived() or time.monotonic()) - since_mono_s

    def stop(self) -> None:
        """Let each finish its question and leave."""
        self._stop.set()


@stage(scenario=5)
def storm(launch: Launcher, gateway: ScriptedGateway) -> Storm:
    """Kill ten times, each time after the successor of the last has answered."""
    proxy = launch(ready=False, gateway=gateway, env=STORM)
    start = observe_start(proxy, START_BUDGET_S)
    if start.problem:
        return Storm(start)
    clients, waits, in_flight = Clients(proxy), [], 0
    with ThreadPoolExecutor(CLIENTS) as pool:
        for _ in range(CLIENTS):
            pool.submit(clients.ask_on)
        try:
            for _ in range(KILLS):
                victim, mark = proxy.worker(), proxy.journal.mark()
                in_flight += clients.asking
                killed_at = time.monotonic()
                victim.kill()
                waits.append(clients.next_answer_s(killed_at))
                proxy.journal.observe("ready", since=mark, within_s=WORST_BUDGET_S)
        finally:
            clients.stop()
    ended = [capture.ended for capture in clients.seen]
    return Storm(
        start,
        kills=len(proxy.journal.events(name="worker_died")),
        answered=sum(map(answered, clients.seen)),
        refused=ended.count("refused"),
        cut=sum(how in CUT for how in ended),
        other=tuple(sorted({f"{c.status} {c.ended}" for c in clients.seen if c.ended not in CUT and not answered(c)})),
        in_flight_at_kills=in_flight,
        next_answer_s=tuple(waits),
        longest_wait_s=max(capture.elapsed_s for capture in clients.seen),
    )


@check("5.1-nobody-refused", title="연결 거부 없음")
def test_nobody_is_refused(storm: Storm, measure: Measure) -> None:
    """Ten kills under sixteen connecting clients refuse no connection."""
    assert storm.kills == KILLS, storm.start.problem
    measure(storm.refused, "refused", 0)
    measure(storm.answered, "answered", label="answered")
    assert (storm.refused, storm.other) == (0, ())
    assert storm.answered > KILLS


@check("5.2-only-in-flight-cut")
def test_only_requests_in_flight_are_cut(storm: Storm, measure: Measure) -> None:
    """No more requests are lost than were in flight at the kills."""
    measure(storm.cut, "lost", storm.in_flight_at_kills)
    assert storm.cut <= storm.in_flight_at_kills


@check("5.3-next-answer")
def test_next_answer_comes_soon(storm: Storm, measure: Measure) -> None:
    """After a kill the next answer comes within the restart budget, and the worst of ten within that of a start."""
    assert len(storm.next_answer_s) == KILLS
    median, worst = sorted(storm.next_answer_s)[KILLS // 2], max(storm.next_answer_s)
    measure(median, "s", RESTART_BUDGET_S, headline=True)
    measure(worst, "s", WORST_BUDGET_S, label="worst")
    assert median < RESTART_BUDGET_S
    assert worst < WORST_BUDGET_S


@check("5.4-longest-wait")
def test_nobody_waits_for_ever(storm: Storm, measure: Measure) -> None:
    """No client waited longer than two starts take."""
    measure(storm.longest_wait_s, "s", WAIT_BUDGET_S)
    assert storm.longest_wait_s < WAIT_BUDGET_S
