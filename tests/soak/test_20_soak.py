"""A soak test: random disturbances of processes and gateway under load, from a seed; each outcome must be explained.

`make soak MINUTES=10 SEED=7` runs it for ten minutes; in `make test` it takes a few seconds. The plan follows from the
seed, the moments do not: a failure names the seed, and its timeline has every disturbance.
"""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
import pytest

from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.processes.process_tree import ProcessRef
from lumen_conformance.registry import MeasureFixture, check, expect
from lumen_conformance.stages.evidence import stage
from lumen_conformance.targets.launch import Launcher
from tests.soak import plan
from tests.soak.clients import SoakClients
from tests.soak.disturbances import DisturbanceRecord, GatewayDisturbances, ProcessDisturbances
from tests.soak.oracle import Disturbance, RequestOutcome, find_unexplained
from tests.soak.proxy import SoakedProxy

MINUTES: Final = float(os.environ.get("E2E_LUMEN_SOAK_MINUTES") or 0.1)
SEED: Final = os.environ.get("E2E_LUMEN_SOAK_SEED") or (
    "1" if "E2E_LUMEN_SOAK_MINUTES" not in os.environ else str(random.randrange(10**6))
)
PROGRESS_S: Final = 10.0
SHOWN: Final = 100  # unexplained outcomes in a failure
# A supervisor that leaks one descriptor or thread a restart shows it after a few; the rest is for short-lived ones.
MORE_DESCRIPTORS: Final = 8
MORE_MEMORY_MIB: Final = 16.0
pytestmark = [
    pytest.mark.soak,
    pytest.mark.needs("journal"),
    pytest.mark.timeout(MINUTES * 60 + 300),
    pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX"),
]


@dataclass(frozen=True)
class Size:
    """The size of a supervisor: open descriptors, resident memory in MiB, zombies among its children."""

    descriptors: int
    memory_mib: float
    zombies: int


@dataclass(frozen=True)
class SoakEvidence:
    """The evidence. Times are seconds since the beginning; ``sizes`` has the first and last size of each supervisor."""

    seed: str
    minutes: float
    counts: dict[str, int]
    disturbances: dict[str, int]
    timeline: tuple[str, ...]
    unexplained: tuple[str, ...]
    unexplained_counts: dict[str, int]
    unexpected_ends: tuple[str, ...]
    problems: tuple[str, ...]
    sizes: tuple[tuple[Size, Size], ...]
    is_well_at_the_end: bool


@stage(scenario=20)
def soak(launch: Launcher, gateway: ScriptedGateway, folder: Path) -> SoakEvidence:
    """Disturb the processes and the gateway while clients ask, then let the proxy rest and ask once more."""
    proxy, record, begun_s = SoakedProxy(launch, gateway, folder), DisturbanceRecord(), time.monotonic()
    print_line(f"soak test: seed {SEED}, {MINUTES:g} minutes")
    proxy.start()
    clients, sizes = SoakClients(proxy.url, SEED), Sizes(proxy)
    acts = (
        (plan.steps("processes", SEED), ProcessDisturbances(proxy, record).act),
        (plan.steps("gateway", SEED), GatewayDisturbances(gateway, clients, record).act),
    )
    clients.start()
    disturb(acts, begun_s + MINUTES * 60, sizes, lambda: describe_progress(begun_s, clients, record))
    clients.stop()
    is_well = record.rest(proxy)
    sizes.read()  # what has ended is reaped by now
    proxy.stop()
    record.add_drains(proxy.journal.events())
    unexplained = find_unexplained(clients.outcomes, record.disturbances)
    return SoakEvidence(
        seed=SEED,
        minutes=MINUTES,
        counts=dict(clients.counts),
        disturbances=dict(Counter(one.name for one in record.disturbances)),
        timeline=tuple(describe(one, begun_s) for one in record.disturbances),
        unexplained=tuple(describe(one, begun_s) for one in unexplained),
        unexplained_counts=dict(Counter(one.word for one in unexplained)),
        unexpected_ends=record.list_unexpected_ends(proxy.journal.events()),
        problems=tuple(record.problems),
        sizes=sizes.pairs(),
        is_well_at_the_end=is_well,
    )


def disturb(
    acts: Iterable[tuple[Iterator[plan.PlannedStep], Callable[[plan.PlannedStep], None]]],
    until_s: float,
    sizes: Sizes,
    progress: Callable[[], str],
) -> None:
    """Follow the plans at the same time until then; raises what an act raised."""
    ended = threading.Event()

    def follow(steps: Iterator[plan.PlannedStep], act: Callable[[plan.PlannedStep], None]) -> None:
        for step in steps:
            if ended.wait(step.pause_s):
                return
            act(step)
            sizes.read()

    with ThreadPoolExecutor() as actors:
        running = [actors.submit(follow, *each) for each in acts]
        try:
            while (left_s := until_s - time.monotonic()) > 0 and not any(each.done() for each in running):
                futures.wait(running, min(PROGRESS_S, left_s), futures.FIRST_COMPLETED)
                print_line(progress())
        finally:
            ended.set()
    for each in running:
        each.result()


class Sizes:
    """The first and the last size of each supervisor."""

    def __init__(self, proxy: SoakedProxy) -> None:
        self._proxy = proxy
        self._first: dict[ProcessRef, Size] = {}
        self._last: dict[ProcessRef, Size] = {}
        self._lock = threading.Lock()

    def read(self) -> None:
        """Read the size of the supervisor, if one runs."""
        supervisor = self._proxy.supervisor()
        process = supervisor.process() if supervisor else None
        with suppress(psutil.Error), self._lock:
            if supervisor and process:
                children = [child.status() for child in process.children()]
                zombies = children.count(psutil.STATUS_ZOMBIE)
                self._last[supervisor] = Size(process.num_fds(), process.memory_info().rss / 2**20, zombies)
                self._first.setdefault(supervisor, self._last[supervisor])

    def pairs(self) -> tuple[tuple[Size, Size], ...]:
        """Return (first, last) of each supervisor."""
        return tuple((self._first[ref], self._last[ref]) for ref in self._first)


def describe(one: RequestOutcome | Disturbance, begun_s: float) -> str:
    """Return one line of the timeline."""
    name = one.word if isinstance(one, RequestOutcome) else one.name
    since_s = one.sent_s if isinstance(one, RequestOutcome) else one.begun_s
    return f"{since_s - begun_s:9.3f} to {one.ended_s - begun_s:9.3f} s: {name} {one.detail}".rstrip()


def describe_progress(begun_s: float, clients: SoakClients, record: DisturbanceRecord) -> str:
    """Return one line for a person who waits; the journal, which is read at the end, explains some outcomes."""
    unexplained = find_unexplained(list(clients.outcomes), list(record.disturbances))
    return (
        f"{time.monotonic() - begun_s:6.0f} s: {clients.counts.total():6} requests, "
        f"{len(record.disturbances):4} disturbances, {len(unexplained)} not explained yet, "
        f"{len(record.problems)} problems"
    )


def print_line(line: str) -> None:
    """Print a line that pytest shows with ``-s``."""
    sys.stderr.write(f"{line}\n")


@check("20.1-outcomes-explained", source="docs/behaviour.md; tests/soak/oracle.py: EXPLANATIONS")
def test_outcomes_are_explained(soak: SoakEvidence, measure: MeasureFixture) -> None:
    """Each request is answered, or a disturbance of its time explains its end."""
    measure(len(soak.unexplained), "unexplained", 0, headline=True)
    measure(sum(soak.counts.values()), "requests", label="requests")
    measure(sum(soak.disturbances.values()), "disturbances", label="disturbances")
    found = f"others with seed {soak.seed}: {soak.unexplained_counts}\n" + "\n".join(soak.unexplained[:SHOWN])
    found += "\ntimeline:\n" + "\n".join(soak.timeline)
    expect(not soak.unexplained, "each outcome is an answer, or explained by a disturbance", found)


@check("20.2-ends-explained", source="docs/adr/0003-supervisor-holds-the-socket.md")
def test_ends_of_processes_are_explained(soak: SoakEvidence) -> None:
    """No worker and no standby ends, hangs or is replaced unless the test caused it."""
    ends = soak.unexpected_ends
    expect(not ends, "each end in the journal was caused by the test", f"seed {soak.seed}: " + "\n".join(ends))


@check("20.3-recovers", source="docs/behaviour.md; docs/guide/recovery.md")
def test_it_recovers_each_time(soak: SoakEvidence) -> None:
    """After each disturbance the proxy serves again within its bound, and at the end it answers each question."""
    problems = soak.problems
    expect(not problems, "the proxy serves after each disturbance", f"seed {soak.seed}: " + "\n".join(problems))
    expect(soak.is_well_at_the_end, "the proxy answers when the disturbances have ended", "it does not")


@check("20.4-no-growth", source="docs/adr/0003-supervisor-holds-the-socket.md")
def test_supervisors_do_not_grow(soak: SoakEvidence, measure: MeasureFixture) -> None:
    """No supervisor gains descriptors or memory over its restarts, and the last one has no zombies at the end."""
    grown = max((last.memory_mib - first.memory_mib for first, last in soak.sizes), default=0.0)
    opened = max((last.descriptors - first.descriptors for first, last in soak.sizes), default=0)
    measure(opened, "descriptors", MORE_DESCRIPTORS)
    measure(grown, "MiB", MORE_MEMORY_MIB, label="memory")
    expect(opened <= MORE_DESCRIPTORS, f"at most {MORE_DESCRIPTORS} more descriptors", f"{opened} more")
    expect(grown <= MORE_MEMORY_MIB, f"at most {MORE_MEMORY_MIB:g} MiB more", f"{grown:.1f} MiB more")
    zombies = soak.sizes[-1][1].zombies if soak.sizes else 0  # of the others a worker may just have ended
    expect(zombies == 0, "no zombie of the last supervisor at the end", f"{zombies} zombies")
