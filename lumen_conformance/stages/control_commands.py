"""Start our own proxy by the command `start` and stop it by the command `stop`, and observe when each of them ends."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http.capture import Capture
from lumen_conformance.http.client import call
from lumen_conformance.processes.process_tree import ProcessRef, kill_all, list_running, list_tree
from lumen_conformance.stages.drain import held_question
from lumen_conformance.stages.held_boot import HeldBoot
from lumen_conformance.stages.observations import is_port_free
from lumen_conformance.stages.stage_steps import StageStep
from lumen_conformance.targets.endpoint import CHAT
from lumen_conformance.targets.journal import JournalReader
from lumen_conformance.targets.launch import Launcher
from lumen_conformance.waiting import observe

EARLY_S = 1.0  # a command that does not wait has ended by then: a start of Python takes 0.1 s


@dataclass(frozen=True)
class CommandEvidence(StageStep):
    """The commands `start` and `stop`; what was left was observed as soon as `stop` had ended."""

    started_early: bool
    start_status: int
    health_status: int | None
    stop_status: int
    answer_status: int | None
    processes_left: int
    is_port_free: bool


def start_and_stop(launch: Launcher, gateway: ScriptedGateway, folder: Path) -> CommandEvidence:
    """Start a proxy in the background while its boot is held, and stop it while a question is held."""
    boot, port = HeldBoot(folder, launch.target), launch.reserve_port()
    journal, url = JournalReader(folder / "log", lambda: None), f"http://127.0.0.1:{port}"
    folders = {"LUMEN_STATE_DIR": str(folder / "state"), "LUMEN_LOG_DIR": str(journal.folder)}
    env = {"PROXY_PORT": str(port), **folders, **boot.environ}

    def chat(text: str) -> Capture:
        question = {"model": launch.target.model, "messages": [{"role": "user", "content": text}]}
        return call(url, "POST", CHAT, json=question)

    with ThreadPoolExecutor(1) as pool:
        starting = pool.submit(launch.run, "start", env=env, gateway=gateway)
        journal.observe("worker_spawned", within_s=launch.target.start_s)
        started_early = bool(observe("start has ended", starting.done, within_s=EARLY_S))
        boot.release()
        start_status = starting.result().exit_status
        health_status = call(url, "GET", "/health").status
        supervisor = ProcessRef.of(journal.events(name="started")[0]["supervisor_pid"])
        with held_question(chat, gateway) as (gate, answer):
            processes = list_tree(supervisor)
            stopping = pool.submit(launch.run, "stop", env=env)
            journal.observe("draining", within_s=launch.target.start_s)
            if not observe("stop has ended", stopping.done, within_s=EARLY_S):
                gate.set()
            stop_status = stopping.result().exit_status
            left, is_free = list_running(processes), is_port_free(port)
        answer_status = answer.result().status
    kill_all(processes)
    return CommandEvidence(started_early, start_status, health_status, stop_status, answer_status, len(left), is_free)
