"""Run one client against all servers, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from breaks.selection import Served
from breaks.servers import ServerLog, opened
from lumen_conformance.contract.session import AWKWARD_TEXT
from lumen_conformance.inject import lumen_guard
from lumen_conformance.targets.target import merge
from tests.contract.clients.client_list import Client
from tests.contract.clients.client_process import KEY, MODEL, Act, client_environ

# The slowest act that ends by itself is the AI SDK's third attempt, after pauses of 2 s and 4 s; three times as long.
BOUND_S = 18.0
# Of a whole client: the slowest needs 2 minutes on two busy cores.
CLIENT_S = 900.0
LOOK_S = 0.5  # how often progress is looked for
TEXT = AWKWARD_TEXT


class Visit(Act, frozen=True, kw_only=True):
    """One act of a client at one server; the last fields are from `servers.ServerLog`."""

    server: str
    act: str
    began_s: float
    ended_s: float
    hangs: bool = False
    asked: int = 0
    paid: int = 0
    waits: bool = False
    reason: str = ""


def visits_of(client: Client, selected: Sequence[Served], progress: Callable[[int], None]) -> list[Visit]:
    """Every visit, by server and act; raises RuntimeError when the client's process fails, or a server."""
    with tempfile.TemporaryDirectory(prefix="breaks-") as name, opened(selected) as servers:
        folder, output = Path(name), Path(name) / "visits.jsonl"
        rows = [{"name": each.name, "url": servers[each.name][0], "acts": each.acts} for each in selected]
        score: dict[str, object] = {"servers": rows, "key": KEY, "model": MODEL, "text": TEXT, "bound_s": BOUND_S}
        score["clocks"] = {"wall_s": time.time(), "monotonic_s": time.monotonic()}  # Node compares them with its own
        (folder / "score.json").write_text(json.dumps(score), "utf-8")
        output.touch()
        _run([*client.argv(), str(folder / "score.json"), str(output)], client, folder, progress)
        check_undisturbed({name: log for name, (_, log) in servers.items()})
        # msgspec.json refuses one half of a surrogate pair, and Node writes such a text as it is.
        visits = [msgspec.convert(json.loads(line), Visit) for line in output.read_bytes().splitlines()]
    return [_counted(visit, servers[visit.server][1]) for visit in visits]


def _run(argv: list[str], client: Client, folder: Path, progress: Callable[[int], None]) -> None:
    blocked_file = folder / "guard.jsonl"
    variables = {lumen_guard.FILE: str(blocked_file), lumen_guard.TAG: "breaks"}
    environ = merge(os.environ, client_environ(client, folder), variables)
    end_s = time.monotonic() + CLIENT_S
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(argv, cwd=folder, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            while (status := _status(process)) is None and time.monotonic() < end_s:
                progress((folder / "visits.jsonl").read_bytes().count(b"\n"))
        finally:
            process.kill()
            process.wait()
    if status != 0 or blocked_file.exists():
        output_text = (folder / "log").read_text("utf-8", "replace")[-2000:]
        blocked = blocked_file.read_text("utf-8") if blocked_file.exists() else ""
        raise RuntimeError(f"{' '.join(argv)} ended with {status} within {CLIENT_S} s\n{blocked}\n{output_text}")


def check_undisturbed(logs: dict[str, ServerLog]) -> None:
    """Raise RuntimeError when a server crashed by an error of its own: such a visit is no evidence."""
    if crashes := {name: log.crashes[0] for name, log in logs.items() if log.crashes}:
        raise RuntimeError(f"the servers crashed while they asked the gateway; repair them and run again: {crashes}")


def _status(process: subprocess.Popen[bytes]) -> int | None:
    try:
        return process.wait(LOOK_S)
    except subprocess.TimeoutExpired:
        return None


def _counted(visit: Visit, log: ServerLog) -> Visit:
    """The visit with the requests that its server has logged during it."""

    def during(times_s: list[float]) -> int:
        return sum(visit.began_s <= time_s <= visit.ended_s for time_s in times_s)

    waits = any(visit.began_s <= begin_s and end_s <= visit.ended_s for begin_s, end_s in log.silent_s)
    reason = next((text for time_s, text in log.reasons if visit.began_s <= time_s <= visit.ended_s), "")
    asked, paid = during(log.posted_s), during(log.paid_s)
    return msgspec.structs.replace(visit, asked=asked, paid=paid, waits=waits, reason=reason)
