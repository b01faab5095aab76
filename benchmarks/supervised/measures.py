"""What is measured of one supervised server: gap, hang, crash loop, stop and orphans. Each is a launch of its own."""

from __future__ import annotations

import signal
import statistics
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil
from client_load import ClientLoad

from lumen_conformance.http.client import call
from lumen_conformance.processes.process_tree import ProcessRef, list_running, list_tree
from lumen_conformance.waiting import observe
from supervised.gateway import HOLD
from supervised.launch import SupervisedLaunch
from supervised.servers import KEY, MODEL, SupervisedServer

ORPHANS_S: Final = 5.0  # scenario 7
STANDBYS: Final = 3  # processes that have started before the crash and take over: they are killed, too
STANDBY_S: Final = 1.0  # they answer within milliseconds
STOP_S: Final = 60.0  # twice the longest grace period
ANSWER_S: Final = 60.0
PATIENCE_S: Final = 5.0  # a client that knows its server asks again

Figures = dict[str, Any]


@dataclass(frozen=True)
class Bench:
    """The gateway, its gate, and a folder of this measurement."""

    gateway_url: str
    gate: Path
    folder: Path

    def launch(self, server: SupervisedServer, port: int, what: str, **options: Any) -> SupervisedLaunch:  # noqa: ANN401 -- passed on
        """Return a launch with its own folder."""
        return SupervisedLaunch(server, port, self.gateway_url, self.folder / f"{server.name}-{what}", **options)


@dataclass
class Gaps:
    """Kills of all workers while nobody asks: seconds from each signal to the next answer."""

    gaps_s: list[float] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)
    silent: bool = False

    def measure(self, launch: SupervisedLaunch, kills: int) -> None:
        """Kill so many times; four clients ask as soon as the workers have ended.

        A client that gets no answer for `PATIENCE_S` hangs, and asks again. A server that gives no answer within
        `ANSWER_S` gets no more kills.
        """
        for _ in range(0 if self.silent else kills):
            launch.rest()
            if not (victims := victims_of(launch)):
                self.silent = True
                return
            if not (killing := launch.kill(victims)).processes:
                continue
            with ClientLoad(launch.port, launch.chat, clients=4, patience_s=PATIENCE_S) as load:
                gap_s = load.wait_answer(killing.sent_s, ANSWER_S)
            self.ends.update(each.end for each in load.questions)
            if gap_s is None:
                self.silent = True
                return
            self.gaps_s.append(gap_s)

    def figures(self) -> Figures:
        """Return what is kept."""
        return {
            "gap_kills": len(self.gaps_s),
            "gap_median_s": round(statistics.median(self.gaps_s), 4) if self.gaps_s else None,
            "gap_worst_s": round(max(self.gaps_s), 4) if self.gaps_s else None,
            "gap_refused": self.ends["refused"],
            "gap_hung": self.ends["timed out"],
            "gap_silent": self.silent,
        }


def victims_of(launch: SupervisedLaunch) -> tuple[ProcessRef, ...]:
    """Return all workers; of our own proxy the one that serves, and not its standby."""
    workers = launch.workers()
    return workers[:1] if launch.server.is_ours else workers


def measure_hang(bench: Bench, server: SupervisedServer, port: int, within_s: float) -> Figures:
    """Stop all workers by SIGSTOP; seconds until one of them has been ended, and until the next answer."""
    with bench.launch(server, port, "hang") as launch, ClientLoad(port, launch.chat, 1, within_s) as load:
        load.wait_answer(time.monotonic(), ANSWER_S)
        workers = victims_of(launch)
        stopped_s = time.monotonic()
        for worker in workers:
            worker.suspend()
        observe("one has been ended", lambda: len(list_running(workers)) < len(workers), within_s=within_s)
        noticed_s = time.monotonic() - stopped_s if len(list_running(workers)) < len(workers) else None
        answered_s = load.wait_answer(stopped_s, max(within_s - (time.monotonic() - stopped_s), 1.0))
    return {"hang_noticed_s": _rounded(noticed_s), "hang_answered_s": _rounded(answered_s), "hang_watched_s": within_s}


def measure_crash_loop(bench: Bench, server: SupervisedServer, port: int, within_s: float) -> Figures:
    """Let each new worker die as it starts; how often that happens, what it costs, and how it ends."""
    bench.folder.mkdir(exist_ok=True)
    crash = bench.folder / f"{server.name}-crash.txt"
    with bench.launch(server, port, "crash", variables={"CRASH_FILE": str(crash)}) as launch:
        workers = launch.workers()
        crash.touch()
        before_s, begun_s = _processor_s(launch), time.monotonic()
        for _ in range(STANDBYS):
            with ClientLoad(port, launch.chat, clients=1) as load:
                if load.wait_answer(launch.kill(workers).ended_s, STANDBY_S) is None:
                    break
            workers = launch.workers()
        observe("it gives up", lambda: launch.process.poll() is not None, within_s=within_s)
        elapsed_s, status = time.monotonic() - begun_s, launch.process.poll()
        times = [float(line.split()[0]) - begun_s for line in crash.read_text("utf-8").splitlines()]
        used_s = _processor_s(launch) - before_s if status is None else None
        is_listening = bool(launch.listeners()) if status is None else False
    late = sum(each > elapsed_s / 2 for each in times)
    return {
        "crash_spawns": len(times),
        "crash_spawns_late": late,
        "crash_elapsed_s": round(elapsed_s, 2),
        "crash_last_s": _rounded(times[-1] if times else None),
        "crash_processor_share": round(used_s / elapsed_s, 3) if used_s is not None else None,
        "crash_gave_up_s": _rounded(elapsed_s if status is not None else None),
        "crash_exit_status": status,
        "crash_listens": is_listening,
    }


def measure_stop(bench: Bench, server: SupervisedServer, port: int) -> Figures:
    """Send SIGTERM to the supervisor while a question is held at the gateway; open the gate a second later."""
    bench.gate.unlink(missing_ok=True)
    with bench.launch(server, port, "stop") as launch:
        held: list[Any] = []
        client = threading.Thread(target=lambda: held.append(_ask_held(launch)))
        client.start()
        observe("the question is on its way", lambda: bool(_gateway_connections(launch)), within_s=10.0)
        begun_s = time.monotonic()
        launch.process.send_signal(signal.SIGTERM)
        observe("it ends before the answer", lambda: launch.process.poll() is not None, within_s=1.0)
        early = launch.process.poll() is not None
        bench.gate.touch()
        observe("it has ended", lambda: launch.process.poll() is not None, within_s=STOP_S)
        status, elapsed_s = launch.process.poll(), time.monotonic() - begun_s
        client.join()
    answer = held[0]
    return {
        "stop_answered": answer.status == 200 and answer.ended == "complete",
        "stop_exit_status": status,
        "stop_s": round(elapsed_s, 2),
        "stop_before_answer": early,
    }


def measure_orphans(bench: Bench, server: SupervisedServer, port: int) -> Figures:
    """Kill the supervisor by SIGKILL; which of its processes are left, and who still listens, five seconds later."""
    with bench.launch(server, port, "orphans") as launch:
        known = set(launch.processes()) | set(launch.workers())
        launch.kill((launch.master,))
        observe("nothing is left", lambda: not list_running(known), within_s=ORPHANS_S)
        left = list_running(known)
        answers = launch.answers()
        for each in left:  # what they have started meanwhile ends, too
            known |= set(list_tree(each))
        launch.note(known)
    return {"orphans": len(left), "orphans_answer": answers}


def _ask_held(launch: SupervisedLaunch) -> Any:  # noqa: ANN401 -- a capture
    body = {"model": MODEL, "messages": [{"role": "user", "content": HOLD}]}
    headers = (("Authorization", f"Bearer {KEY}"),) if launch.server.api_key else ()
    return call(launch.url, "POST", "/v1/chat/completions", json=body, headers=headers, timeout_s=2 * STOP_S)


def _gateway_connections(launch: SupervisedLaunch) -> list[Any]:
    port = int(launch.gateway_url.rpartition(":")[2])
    processes = filter(None, (ref.process() for ref in launch.processes()))
    found = (each for process in processes for each in process.net_connections("tcp"))
    return [each for each in found if each.raddr and each.raddr.port == port and each.status == psutil.CONN_ESTABLISHED]


def _processor_s(launch: SupervisedLaunch) -> float:
    """Return the processor time of the supervisor and of its ended children."""
    times = psutil.Process(launch.master.pid).cpu_times()
    return times.user + times.system + times.children_user + times.children_system


def _rounded(value_s: float | None) -> float | None:
    return None if value_s is None else round(value_s, 2)
