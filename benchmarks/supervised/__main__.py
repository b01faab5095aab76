"""Measure the recovery of supervised servers, and write docs/league-recovery.md and docs/league-recovery.json.

    python -m supervised [--kills 50] [--storm 50] [--ours 1000] [--hang 60] [--crash 20] [--no-suite] [NAME ...]
    python -m supervised pages

Kills are in interleaved rounds over all servers, so that the same noise meets all. Rows of servers that are not named
stay as they are. A server that is never ready has an empty row. Exit status: 1 when a suite did not run to its end.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import kills

from lumen_conformance.ports import reserved_port
from lumen_conformance.waiting import WaitError
from supervised import installation, page, suite
from supervised.gateway import running_gateway
from supervised.measures import Bench, Figures, Gaps, measure_crash_loop, measure_hang, measure_orphans, measure_stop
from supervised.servers import ALL, SupervisedServer

ROUND_KILLS = 5
KILLS, STORM, OURS = 50, 50, 1_000
HANG_S, CRASH_S = 60.0, 40.0  # twice the longest time-out, 30 s of gunicorn; circus gives up after 5 x 5 s
CLIENTS = 16


def measure_gaps(bench: Bench, servers: tuple[SupervisedServer, ...], count: int) -> dict[str, Figures]:
    """Return the gaps of all servers, which run at the same time."""
    gaps = {server.name: Gaps() for server in servers}
    with ExitStack() as stack:
        running = {}
        for server in servers:
            port = stack.enter_context(reserved_port())
            try:
                running[server.name] = stack.enter_context(bench.launch(server, port, "gap", unlimited=True))
            except WaitError as error:
                print(f"league-recovery: {server.name}: {error}", file=sys.stderr)
        for begin in range(0, count, ROUND_KILLS):
            for name, launch in running.items():
                gaps[name].measure(launch, max(min(ROUND_KILLS, min(count, launch.server.most_kills) - begin), 0))
                print(f"gaps after round {begin // ROUND_KILLS + 1}: {name} {gaps[name].figures()}", flush=True)
    return {name: each.figures() for name, each in gaps.items()}


def measure_each(bench: Bench, server: SupervisedServer, crash_s: float) -> Figures:
    """Return what is measured in launches of one server alone."""
    found: Figures = {}
    for what in (measure_stop, measure_orphans, partial(measure_crash_loop, within_s=crash_s)):
        try:
            with reserved_port() as port:
                found |= what(bench, server, port)
        except WaitError as error:
            print(f"league-recovery: {server.name}: {error}", file=sys.stderr)
    print(f"{server.name}: {found}", flush=True)
    return found


def measure_hangs(bench: Bench, servers: tuple[SupervisedServer, ...], within_s: float) -> dict[str, Figures]:
    """Return the hangs of all servers at the same time: nearly all of it is a wait."""

    def measure(server: SupervisedServer) -> Figures:
        try:
            with reserved_port(server.name) as port:
                return measure_hang(bench, server, port, within_s)
        except WaitError as error:
            print(f"league-recovery: {server.name}: {error}", file=sys.stderr)
            return {}

    with ThreadPoolExecutor(len(servers)) as pool:
        return dict(zip([each.name for each in servers], pool.map(measure, servers), strict=True))


def measure_all(servers: tuple[SupervisedServer, ...], options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Return the row of each server."""
    with tempfile.TemporaryDirectory() as folder, running_gateway(Path(folder) / "gate") as gateway_url:
        bench = Bench(gateway_url, Path(folder) / "gate", Path(folder) / "b")
        gaps = measure_gaps(bench, servers, options.kills)
        alone = {server.name: measure_each(bench, server, options.crash) for server in servers}
        hangs = measure_hangs(bench, servers, options.hang)
    storms = kills.run(servers, options.storm, options.ours, CLIENTS)
    storm = {f"{each.server.name}": {f"storm_{key}": value for key, value in each.figures().items()} for each in storms}
    return {name: gaps[name] | alone[name] | hangs[name] | storm[name] for name in gaps}


def main() -> int:
    """Measure, judge and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=KILLS, help="kills without load, of each server")
    parser.add_argument("--storm", type=int, default=STORM, help="kills under load, of each peer")
    parser.add_argument("--ours", type=int, default=OURS, help="kills under load, of our own proxy")
    parser.add_argument("--hang", type=float, default=HANG_S, help="seconds for which a hang is watched")
    parser.add_argument("--crash", type=float, default=CRASH_S, help="seconds for which a crash loop is watched")
    parser.add_argument("--no-suite", action="store_true", help="do not run the recovery suite")
    parser.add_argument("--only-suite", action="store_true", help="measure nothing")
    parser.add_argument("names", nargs="*", help=f"pages, or servers: {', '.join(each.name for each in ALL)}")
    options = parser.parse_args()
    if options.names == ["pages"]:
        page.write(page.read())
        return 0
    if unknown := sorted(set(options.names) - {each.name for each in ALL}):
        parser.error(f"unknown servers: {', '.join(unknown)}")
    return run(tuple(each for each in ALL if not options.names or each.name in options.names), options)


def run(servers: tuple[SupervisedServer, ...], options: argparse.Namespace) -> int:
    """Set up, measure, judge and write; return the exit status."""
    try:
        installation.set_up(servers)
        begun = kills.conditions()
        rows = {} if options.only_suite else measure_all(servers, options)
        begun = max(begun, kills.conditions(), key=lambda each: each["load"])  # others may have come meanwhile
    except (WaitError, OSError, subprocess.SubprocessError) as error:
        print(f"league-recovery: {error}", file=sys.stderr)
        return 1
    judged = {} if options.no_suite else {each.name: suite.judge(each) for each in servers if not each.is_ours}
    kept = page.read()
    for server in servers:
        old = kept.get(server.name, {})
        kept[server.name] = old | (begun | rows[server.name] if rows else {}) | judged.get(server.name, {})
    page.write(kept)
    print(json.dumps({name: row.get("suite_trouble") for name, row in judged.items()}), os.getloadavg())
    return int(any(row.get("suite_trouble") for row in judged.values()))


if __name__ == "__main__":
    sys.exit(main())
