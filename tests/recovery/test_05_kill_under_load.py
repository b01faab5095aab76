"""Scenario 5: workers are killed again and again while clients keep connecting.

Setup: sixteen clients, each with a new connection for each question, because only a new connection can be refused; and
a supervisor without a limit of restarts and without back-off, because ten kills in a row would count as a crash loop. A
request in flight at a kill may be lost. No connection may be refused, and no client may wait longer than two restarts.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http.capture import Capture
from lumen_conformance.registry import MeasureFixture, check
from lumen_conformance.stages.evidence import stage
from lumen_conformance.stages.observations import StartObservation, observe_start
from lumen_conformance.targets.launch import LaunchedTarget, Launcher

CLIENTS = 16
KILLS = 10
START_BUDGET_S = 10.0  # check 1.1
RESTART_BUDGET_S = 3.0  # scenario 1: for the median of ten, which one slow restart does not change
# The worst of ten: a new worker is a cold start, so the budget of a start applies. Its 0.25 s of work compete with
# sixteen clients: it took 0.3 s on an idle machine, and 3.8 s with two cores at a load of twelve.
WORST_BUDGET_S = START_BUDGET_S
WAIT_BUDGET_S = 2 * WORST_BUDGET_S  # a request may meet two kills, when it is accepted again just before the second
SETTINGS = {"LUMEN_MAX_RESTARTS": "0", "LUMEN_RESTART_BACKOFF_S": "0", "LUMEN_MAX_CONCURRENCY": str(CLIENTS)}

CUT = {"reset", "aborted"}


def answered(capture: Capture) -> bool:
    return (capture.status, capture.ended) == (200, "complete")


@dataclass(frozen=True)
class KillsEvidence:
    """The evidence: counts of requests by their ends, and times in seconds."""

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
    """Threads that send chats, each on a new connection, until `stop` is called."""

    def __init__(self, proxy: LaunchedTarget) -> None:
        self.proxy = proxy
        self.captures: list[Capture] = []
        self.in_flight = 0
        self._stop = threading.Event()
        self._answer = threading.Condition()

    def run(self) -> None:
        """Send chats; each client does this."""
        while not self._stop.is_set():
            with self._answer:
                self.in_flight += 1
            capture = self.proxy.chat("또 왔어요", timeout_s=WAIT_BUDGET_S + 4)
            with self._answer:
                self.in_flight -= 1
                self.captures.append(capture)
                self._answer.notify_all()

    def next_answer_s(self, since_mono_s: float) -> float:
        """Return the seconds from then until the answer to a request that was sent after it."""

        def arrived() -> float:
            times = (
                c.sent_mono_s + c.elapsed_s for c in self.captures if c.status == 200 and c.sent_mono_s >= since_mono_s
            )
            return min(times, default=0.0)

        with self._answer:
            self._answer.wait_for(arrived, WORST_BUDGET_S)
            return (arrived() or time.monotonic()) - since_mono_s

    def stop(self) -> None:
        """End each client after its current chat."""
        self._stop.set()


@stage(scenario=5)
def storm(launch: Launcher, gateway: ScriptedGateway) -> KillsEvidence:
    """Kill ten workers, each after the new worker of the last kill has answered."""
    proxy = launch(ready=False, gateway=gateway, env=SETTINGS)
    start = observe_start(proxy, START_BUDGET_S)
    if start.problem:
        return KillsEvidence(start)
    clients, waits, in_flight = Clients(proxy), [], 0
    with ThreadPoolExecutor(CLIENTS) as pool:
        for _ in range(CLIENTS):
            pool.submit(clients.run)
        try:
            for _ in range(KILLS):
                victim, mark = proxy.worker(), proxy.journal.mark()
                in_flight += clients.in_flight
                killed_at = time.monotonic()
                victim.kill()
                waits.append(clients.next_answer_s(killed_at))
                proxy.journal.observe("ready", since=mark, within_s=WORST_BUDGET_S)
        finally:
            clients.stop()
    ended = [capture.ended for capture in clients.captures]
    return KillsEvidence(
        start,
        kills=len(proxy.journal.events(name="worker_died")),
        answered=sum(map(answered, clients.captures)),
        refused=ended.count("refused"),
        cut=sum(end in CUT for end in ended),
        other=tuple(
            sorted({f"{c.status} {c.ended}" for c in clients.captures if c.ended not in CUT and not answered(c)})
        ),
        in_flight_at_kills=in_flight,
        next_answer_s=tuple(waits),
        longest_wait_s=max(capture.elapsed_s for capture in clients.captures),
    )


@check(
    "5.1-nobody-refused",
    title="연결 거부 없음",
    source="docs/adr/0003-supervisor-holds-the-socket.md: connections wait in the backlog; listen(2)",
)
def test_nobody_is_refused(storm: KillsEvidence, measure: MeasureFixture) -> None:
    """Ten kills with sixteen connecting clients refuse no connection."""
    assert storm.kills == KILLS, storm.start.problem
    measure(storm.refused, "refused", 0)
    measure(storm.answered, "answered", label="answered")
    assert (storm.refused, storm.other) == (0, ())
    assert storm.answered > KILLS


@check("5.2-only-in-flight-cut", source="docs/adr/0003-supervisor-holds-the-socket.md: connections wait in the backlog")
def test_only_requests_in_flight_are_cut(storm: KillsEvidence, measure: MeasureFixture) -> None:
    """At most the requests that were in flight at the kills are lost."""
    measure(storm.cut, "lost", storm.in_flight_at_kills)
    assert storm.cut <= storm.in_flight_at_kills


@check("5.3-next-answer", source="docs/architecture.md: A kill")
def test_next_answer_comes_soon(storm: KillsEvidence, measure: MeasureFixture) -> None:
    """After a kill the next answer arrives within the restart budget, and the slowest of ten within that of a start."""
    assert len(storm.next_answer_s) == KILLS
    median, worst = sorted(storm.next_answer_s)[KILLS // 2], max(storm.next_answer_s)
    measure(median, "s", RESTART_BUDGET_S, headline=True)
    measure(worst, "s", WORST_BUDGET_S, label="worst")
    assert median < RESTART_BUDGET_S
    assert worst < WORST_BUDGET_S


@check("5.4-longest-wait", source="docs/architecture.md: A kill")
def test_nobody_waits_for_ever(storm: KillsEvidence, measure: MeasureFixture) -> None:
    """No client waits longer than two starts take."""
    measure(storm.longest_wait_s, "s", WAIT_BUDGET_S)
    assert storm.longest_wait_s < WAIT_BUDGET_S
