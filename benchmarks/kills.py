"""A storm of kills: workers get SIGKILL again and again under sixteen clients with new connections.

    PYTHONPATH=benchmarks python benchmarks/kills.py [--kills 50] [--ours 1000] [--clients 16] [NAME ...]

All servers run at the same time, and each round gives every server some kills in its turn, so that the same noise meets
all of them. One worker is killed: the one that answers a probe. The next kill comes when a question that was sent after
the last one is answered. A server that gives no answer for a minute gets no more kills.

A question is in flight from its first byte sent to its last byte received. ``in_flight`` counts those at the moment of
each signal. A cut is explained by a kill if the connection was open at any time from the signal until the kernel has
ended the process (``cut_unsent``: open, and the first byte was sent later); any other is ``cut_otherwise``.

Supervisors are sampled between rounds: memory, descriptors, zombies.
The figures of the last full run are beside this file in kills.json. Exit status: 0 when our own proxy refused no
connection, cut nothing but questions in flight, and did not grow, else 1.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from client_load import ClientLoad, LoadQuestion, list_in_flight
from supervised.gateway import running_gateway
from supervised.launch import Killing, SupervisedLaunch
from supervised.servers import SERVERS, SupervisedServer

from lumen_conformance.ports import reserved_port
from lumen_conformance.waiting import WaitError

FIGURES = Path(__file__).with_suffix(".json")
PEER_KILLS, OUR_KILLS, CLIENTS = 50, 1_000, 16
ROUND_KILLS = 5  # of a peer in one round: ten rounds, in which noise changes
ANSWER_S = 60.0  # as long as a hang is watched
WARM_SHARE = 0.2  # caches and the allocator fill up first; growth is counted from here
GROWTH_BUDGET_MIB = 8.0  # ten leaked kilobytes a restart would be 8 MiB over the rest of a full run
GROWTH_BUDGET_DESCRIPTORS = 4  # one leaked descriptor a restart would be 800


@dataclass(frozen=True)
class SupervisorSample:
    """The supervisor after so many kills."""

    kills: int
    rss_mib: float
    descriptors: int
    zombies: int


@dataclass
class Storm:
    """What became of one server; times in seconds."""

    server: SupervisedServer
    kills: list[Killing] = field(default_factory=list)
    gaps_s: list[float] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)
    in_flight: int = 0
    cut_unsent: int = 0
    cut_otherwise: int = 0
    samples: list[SupervisorSample] = field(default_factory=list)
    trouble: str = ""

    def count(self, questions: list[LoadQuestion], kills: list[Killing]) -> None:
        """Add the questions of one round; a question counts as in flight once for each kill."""
        self.ends.update(each.end for each in questions)
        self.in_flight += sum(len(list_in_flight(questions, kill.sent_s, kill.sent_s)) for kill in kills)
        for each in questions:
            if each.end == "cut" and not any(each.is_in_flight(kill.sent_s, kill.ended_s) for kill in kills):
                is_open = any(each.is_connected(kill.sent_s, kill.ended_s) for kill in kills)
                self.cut_unsent, self.cut_otherwise = self.cut_unsent + is_open, self.cut_otherwise + (not is_open)

    def figures(self) -> dict[str, object]:
        """Return what is kept."""
        warm = self.samples[int(len(self.samples) * WARM_SHARE) :] or self.samples
        return {
            "server": self.server.name,
            "kills": len(self.kills),
            "questions": sum(self.ends.values()),
            **{end: self.ends[end] for end in ("answered", "refused", "cut", "error", "timed out")},
            "in_flight": self.in_flight,
            "cut_unsent": self.cut_unsent,
            "cut_otherwise": self.cut_otherwise,
            "gap_median_s": round(statistics.median(self.gaps_s), 4) if self.gaps_s else None,
            "gap_worst_s": round(max(self.gaps_s), 4) if self.gaps_s else None,
            "growth_mib": round(warm[-1].rss_mib - warm[0].rss_mib, 2) if warm else None,
            "growth_descriptors": warm[-1].descriptors - warm[0].descriptors if warm else None,
            "zombies": max((each.zombies for each in self.samples), default=None),
            "samples": [asdict(each) for each in self.samples],
            "trouble": self.trouble,
        }


def sample(launch: SupervisedLaunch, kills: int) -> SupervisorSample:
    """Return the supervisor now."""
    master = psutil.Process(launch.master.pid)
    below = master.children(recursive=True)
    zombies = sum(child.is_running() and child.status() == psutil.STATUS_ZOMBIE for child in below)
    return SupervisorSample(kills, round(master.memory_info().rss / 2**20, 2), master.num_fds(), zombies)


def run_round(storm: Storm, launch: SupervisedLaunch, kills: int, clients: int) -> None:
    """Kill a worker so many times under load, then sample the supervisor without load."""
    done: list[Killing] = []
    with ClientLoad(launch.port, launch.chat, clients) as load:
        load.wait_answer(time.monotonic(), ANSWER_S)
        for _ in range(kills):
            launch.rest()
            workers = launch.workers()
            if not workers:
                storm.trouble = "no worker answers"
                break
            if not (killing := launch.kill(workers[:1])).processes:
                continue
            done.append(killing)
            gap_s = load.wait_answer(done[-1].sent_s, ANSWER_S)
            if gap_s is None:
                storm.trouble = f"no answer within {ANSWER_S:g} s after kill {len(storm.kills) + len(done)}"
                break
            storm.gaps_s.append(gap_s)
    storm.count(load.questions, done)
    storm.kills += done
    if launch.master.state() == "running":
        storm.samples.append(sample(launch, len(storm.kills)))
    else:
        storm.trouble = "the supervisor has ended"


def run(servers: tuple[SupervisedServer, ...], peer_kills: int, our_kills: int, clients: int) -> list[Storm]:
    """Return the storms of all servers, in interleaved rounds."""
    rounds = max(peer_kills // ROUND_KILLS, 1)
    storms = {server.name: Storm(server) for server in servers}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        gateway_url = stack.enter_context(running_gateway(Path(folder) / "gate"))
        running: dict[str, SupervisedLaunch] = {}
        for server in servers:
            port = stack.enter_context(reserved_port())
            launch = SupervisedLaunch(server, port, gateway_url, Path(folder) / server.name, unlimited=True)
            try:
                running[server.name] = stack.enter_context(launch)
            except WaitError as error:
                storms[server.name].trouble = str(error)
        for number in range(rounds):
            for name, launch in running.items():
                storm, total = storms[name], our_kills if launch.server.is_ours else peer_kills
                total = min(total, launch.server.most_kills)
                kills = total * (number + 1) // rounds - total * number // rounds
                if not storm.trouble:
                    run_round(storm, launch, kills, clients)
                    print(f"round {number + 1}: {name} {describe(storm)}", file=sys.stderr, flush=True)
    return list(storms.values())


def describe(storm: Storm) -> str:
    """Return one line about a server."""
    row = storm.figures()
    cut = f"cut {row['cut']} of {row['in_flight']} in flight, {row['cut_otherwise']} of them not by a kill"
    gap = f"gap {row['gap_median_s']} s, worst {row['gap_worst_s']} s"
    grown = f"grew {row['growth_mib']} MiB, {row['growth_descriptors']} descriptors, zombies {row['zombies']}"
    return f"{row['kills']} kills: refused {row['refused']}, {cut}, {gap}, {grown} {storm.trouble}"


def is_sound(storm: Storm) -> bool:
    """Return whether nothing is refused, unexplained or grown."""
    row = storm.figures()
    mib, descriptors = row["growth_mib"], row["growth_descriptors"]
    is_flat = isinstance(mib, float) and mib <= GROWTH_BUDGET_MIB
    is_flat &= isinstance(descriptors, int) and descriptors <= GROWTH_BUDGET_DESCRIPTORS and not row["zombies"]
    bad = ("refused", "cut_otherwise", "error", "timed out")
    is_cut_by_kills = storm.ends["cut"] <= storm.in_flight and not any(row[name] for name in bad)
    return is_flat and is_cut_by_kills and not storm.trouble


def conditions() -> dict[str, Any]:
    """Return when and where this is measured."""
    return {
        "when": datetime.now(UTC).date().isoformat(),
        "where": f"{platform.system()}, Python {platform.python_version()}, {os.cpu_count()} cores",
        "load": [round(each, 1) for each in os.getloadavg()],
    }


def main() -> int:
    """Run, keep a full run, print a line for each server."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=PEER_KILLS, help="of each peer")
    parser.add_argument("--ours", type=int, default=OUR_KILLS, help="of our own proxy")
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("servers", nargs="*", choices=[[], *(each.name for each in SERVERS)], default=[])
    options = parser.parse_args()
    servers = tuple(each for each in SERVERS if not options.servers or each.name in options.servers)
    begun = conditions()
    storms = run(servers, options.kills, options.ours, options.clients)
    if (options.kills, options.ours, options.clients, options.servers) == (PEER_KILLS, OUR_KILLS, CLIENTS, []):
        kept = begun | {"clients": options.clients, "servers": [each.figures() for each in storms]}
        FIGURES.write_text(json.dumps(kept, indent=2) + "\n", "utf-8")
    for storm in storms:
        print(f"{storm.server.title}: {describe(storm)}")
    return int(not all(is_sound(each) for each in storms if each.server.is_ours))


if __name__ == "__main__":
    sys.exit(main())
