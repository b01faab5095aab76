"""Take the free descriptors of a server while chats are in progress, then leave a few to it, and idle clients."""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

from lumen_conformance.gateway.replies import gated
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.stages import resources
from lumen_conformance.stages.stage_steps import StageStep
from lumen_conformance.targets.launch import Launcher
from lumen_conformance.waiting import observe

HELD = 6  # chats at the gateway: below the limit of eight calls
WINDOW_S = 1.5  # three pauses of a worker that cannot accept
ANSWER_S = 20.0  # a descriptor is free when the held chats are answered; the pause of a worker is half a second
SPARE, IDLE = 8, 40  # free descriptors, and clients that connect and send nothing
WITH_WATCHDOG = {"LUMEN_WATCHDOG_S": "1"}  # within the window: a worker without descriptors is not hung


@dataclass(frozen=True)
class DescriptorEvidence(StageStep):
    """The evidence: held chats, a client that came meanwhile, the processor time, and a client among idle ones."""

    held: tuple[int | None, ...]
    waiting: int | None
    waiting_s: float
    busiest_share: float
    is_same_worker: bool
    among_idle: int | None
    among_idle_s: float
    died: int


def take_descriptors(launch: Launcher, gateway: ScriptedGateway) -> DescriptorEvidence:
    """Take all free descriptors of the processes that serve, then leave a few, with idle clients in their way."""
    resources.need_limits()
    target = launch.target
    proxy = launch(gateway=gateway, env=WITH_WATCHDOG)
    worker, gate = proxy.worker(), threading.Event()
    serving = proxy.serving_processes() if target.foreign else (worker,)  # ours has a supervisor and a standby as well
    gateway.standing = gated(gate)
    with ThreadPoolExecutor(HELD + 1) as pool:
        held = [pool.submit(proxy.chat, f"{number}번째 질문", timeout_s=ANSWER_S) for number in range(HELD)]
        gateway.until_called(HELD)
        resources.limit_descriptors(serving, 0)
        waiting = pool.submit(proxy.call, "GET", target.probe_path, timeout_s=ANSWER_S)
        before, start_s = resources.runnable_s(serving), time.monotonic()
        observe("it ends", proxy.end_reason, within_s=WINDOW_S)
        share = resources.busiest_share(before, resources.runnable_s(serving), time.monotonic() - start_s)
        gate.set()
        statuses = tuple(chat.result().status for chat in held)
        resources.limit_descriptors(serving, SPARE)
    with ExitStack() as idle:
        for _ in range(IDLE):
            idle.enter_context(socket.create_connection(("127.0.0.1", proxy.port), timeout=ANSWER_S))
        among_idle = proxy.call("GET", target.probe_path, timeout_s=ANSWER_S)
    return DescriptorEvidence(
        held=statuses,
        waiting=waiting.result().status,
        waiting_s=waiting.result().elapsed_s,
        busiest_share=share,
        is_same_worker=worker.state() == "running",
        among_idle=among_idle.status,
        among_idle_s=among_idle.elapsed_s,
        died=len(proxy.journal.events(name="worker_died")),
    )
