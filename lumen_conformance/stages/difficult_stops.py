"""Stops with a difficulty: work that does not end, a worker that does not drain or dies, a second signal, a boot."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.processes.process_tree import kill_all
from lumen_conformance.stages.drain import HELD, SEEN_S, Ending, error_code, held_question, observe_end
from lumen_conformance.stages.held_boot import HeldBoot
from lumen_conformance.stages.stage_steps import StageStep
from lumen_conformance.targets.endpoint import CHAT
from lumen_conformance.targets.launch import Launcher
from lumen_conformance.waiting import observe

ONE_SIGNAL_S = 0.1  # signals within 20 ms count as one (ADR 3); five times that
DRAIN_S, SHORT_DRAIN_S = "0.2", "0.05"


@dataclass(frozen=True)
class HurriedEvidence(StageStep):
    """A stop by two signals: the status of the answer to the held question, and the end."""

    answer_status: int | None
    end: Ending


@dataclass(frozen=True)
class CutEvidence(StageStep):
    """A drain with its deadline: the stream and the answer that it cut."""

    stream: str
    answer_status: int | None
    answer_code: str
    end: Ending


@dataclass(frozen=True)
class BootEvidence(StageStep):
    """A stop during the boot."""

    was_ready: bool
    end: Ending


def stop_twice(launch: Launcher, gateway: ScriptedGateway) -> HurriedEvidence:
    """Send a second signal while a question is held."""
    proxy = launch(gateway=gateway)
    with held_question(proxy.chat, gateway) as (_, answer):
        proxy.stop()
        proxy.journal.observe("draining", within_s=SEEN_S)
        # One Ctrl-C may arrive twice within milliseconds (terminal and wrapper), so the second signal is sent later.
        observe("it ends by itself", proxy.end_reason, within_s=ONE_SIGNAL_S)
        proxy.stop()
        end = observe_end(proxy)
    return HurriedEvidence(answer.result().status, end)


def stop_endless_work(launch: Launcher, gateway: ScriptedGateway) -> CutEvidence:
    """Stop while a stream and a question are held that do not end."""
    proxy, begun = launch(gateway=gateway, env={"LUMEN_DRAIN_S": DRAIN_S, "LUMEN_STREAM_COMMIT_S": "0.05"}), Event()
    question = {"model": proxy.target.model, "messages": [{"role": "user", "content": HELD}], "stream": True}
    with held_question(proxy.chat, gateway) as (_, answer), ThreadPoolExecutor(1) as client:
        streamed = client.submit(proxy.call, "POST", CHAT, json=question, on_body=lambda _: begun.set())
        begun.wait(SEEN_S)  # an error before the first byte of a stream keeps its status
        proxy.stop()
        end = observe_end(proxy)
        stream, held = streamed.result(), answer.result()
    return CutEvidence(stream.text, held.status, error_code(held), end)


def stop_suspended_worker(launch: Launcher, gateway: ScriptedGateway) -> Ending:
    """Stop a proxy whose worker is suspended, so that it cannot drain."""
    proxy = launch(gateway=gateway, env={"LUMEN_DRAIN_S": SHORT_DRAIN_S})
    worker = proxy.worker()
    worker.suspend()
    proxy.stop()
    end = observe_end(proxy)
    kill_all([worker])
    return end


def kill_in_drain(launch: Launcher, gateway: ScriptedGateway) -> Ending:
    """Kill the worker in a drain."""
    proxy = launch(gateway=gateway)
    worker = proxy.worker()
    with held_question(proxy.chat, gateway):
        proxy.stop()
        proxy.journal.observe("draining", within_s=SEEN_S)
        worker.kill()
        return observe_end(proxy)


def stop_boot(launch: Launcher, gateway: ScriptedGateway, folder: Path) -> BootEvidence:
    """Stop a proxy whose first worker boots."""
    proxy = launch(gateway=gateway, ready=False, env=HeldBoot(folder, launch.target).environ)
    proxy.journal.observe("worker_spawned", within_s=launch.target.start_s)
    was_ready = bool(proxy.journal.events(name="ready"))
    proxy.stop()
    return BootEvidence(was_ready, observe_end(proxy))
