"""Scenario 10: a stop finishes the work in flight, whichever processes get the signal.

Setup: a gate holds one question at the gateway, so that it is certainly in flight. A terminal (Ctrl-C) and a control
group of systemd send the signal to all processes: the proxy must drain as after a signal to the supervisor alone.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from lumen_conformance.gateway.replies import gated
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http.capture import Capture
from lumen_conformance.http.client import Connection
from lumen_conformance.processes.child_process import WINDOWS
from lumen_conformance.registry import check, check_each
from lumen_conformance.stages.observations import is_port_free
from lumen_conformance.targets.launch import LaunchedTarget, Launcher
from lumen_conformance.waiting import observe

STOP_BUDGET_S = 5.0  # no work is left when the gate is open: the exit of two interpreters takes 0.1 s here
ONE_SIGNAL_S = 0.1  # signals within 20 ms count as one (ADR 3); five times that
CUT = 70
Act = Callable[[LaunchedTarget, threading.Event], None]

SIGNALS: dict[str, Callable[[LaunchedTarget], None]] = {
    "10.1-sigterm-alone": lambda proxy: proxy.stop(),
    "10.2-sigterm-group": lambda proxy: proxy.send_group(signal.SIGTERM),
    "10.3-ctrl-c-group": lambda proxy: proxy.send_group(signal.SIGINT),
}
if WINDOWS:  # a group gets CTRL_BREAK there, which is what stop() sends
    SIGNALS = {"10.1-ctrl-break": SIGNALS["10.1-sigterm-alone"]}


@dataclass(frozen=True)
class StopEvidence:
    """The evidence; ``answer_status`` is that of the held question, and ``processes_left`` of `STOP_BUDGET_S` later."""

    answer_status: int | None
    exit_status: int | None
    workers_died: int
    processes_left: int
    is_port_free: bool
    last_event: str


def observe_end(proxy: LaunchedTarget, answer: Future[Capture] | None = None) -> StopEvidence:
    """Wait for the end of a proxy that was stopped, and for the answer to the held question."""
    exit_status = proxy.observe_exit(STOP_BUDGET_S)
    answer_status = answer.result().status if answer else None
    observe("all processes have ended", lambda: not proxy.processes(), within_s=STOP_BUDGET_S)
    died, events = proxy.journal.events(name="worker_died"), proxy.journal.events()
    left, is_free = len(proxy.processes()), is_port_free(proxy.port)
    return StopEvidence(answer_status, exit_status, len(died), left, is_free, events[-1].name if events else "")


def stop_with_work(proxy: LaunchedTarget, gateway: ScriptedGateway, act: Act) -> StopEvidence:
    """Hold a question at the gateway, act, and observe the end."""
    gate = threading.Event()
    gateway.standing = gated(gate)
    with ThreadPoolExecutor(1) as client:
        answer = client.submit(proxy.chat, "아직 듣고 있어요?")
        gateway.until_called(1)
        act(proxy, gate)
        return observe_end(proxy, answer)


@check_each(
    "send_signal",
    SIGNALS,
    source="POSIX, General Terminal Interface: INTR; docs/behaviour.md: LUMEN_DRAIN_S",
)
def test_work_in_flight_is_finished(
    launch: Launcher, gateway: ScriptedGateway, send_signal: Callable[[LaunchedTarget], None]
) -> None:
    """After a stop ({row}) the held question is answered, and the proxy ends with status 0 and frees its port."""

    def act(proxy: LaunchedTarget, gate: threading.Event) -> None:
        send_signal(proxy)
        proxy.journal.until("draining", within_s=STOP_BUDGET_S)
        gate.set()

    stop = stop_with_work(launch(gateway=gateway), gateway, act)
    assert (stop.answer_status, stop.exit_status) == (200, 0)
    assert stop.workers_died == 0
    assert stop.is_port_free


@check(
    "10.4-second-signal",
    source="docs/adr/0003-supervisor-holds-the-socket.md: a second signal means at once",
)
def test_second_signal_ends_at_once(launch: Launcher, gateway: ScriptedGateway) -> None:
    """A second signal ends the proxy without the work in flight, and the exit status says that it was cut."""

    def act(proxy: LaunchedTarget, _gate: threading.Event) -> None:
        proxy.stop()
        proxy.journal.until("draining", within_s=STOP_BUDGET_S)
        # One Ctrl-C may arrive twice within milliseconds (terminal and wrapper), so the second signal is sent later.
        observe("it ends by itself", proxy.end_reason, within_s=ONE_SIGNAL_S)
        proxy.stop()

    expect_cut(stop_with_work(launch(gateway=gateway), gateway, act))


@check("10.5-drain-deadline", source="docs/behaviour.md: LUMEN_DRAIN_S; systemd.service(5): TimeoutStopSec=")
def test_drain_has_a_deadline(launch: Launcher, gateway: ScriptedGateway) -> None:
    """Work that does not end is cut at the deadline, and the exit status says that it was cut."""
    proxy = launch(gateway=gateway, env={"LUMEN_DRAIN_S": "0.2"})
    expect_cut(stop_with_work(proxy, gateway, lambda proxy, _gate: proxy.stop()))


@check("10.6-idle-connections", source="RFC 9112, 9.5: a server may close a connection at any time")
def test_idle_stop_is_clean(launch: Launcher, gateway: ScriptedGateway) -> None:
    """An idle connection does not delay a stop: the proxy ends with status 0, its journal with stopped."""
    proxy = launch(gateway=gateway)
    with Connection(proxy.url) as idle:
        assert idle.call("GET", "/health").status == 200
        assert idle.stays_open(0)
        proxy.stop()
        stop = observe_end(proxy)
    assert (stop.exit_status, stop.last_event) == (0, "stopped")
    assert (stop.processes_left, stop.is_port_free) == (0, True)


def expect_cut(stop: StopEvidence) -> None:
    assert stop.exit_status == CUT
    assert stop.answer_status != 200
    assert (stop.processes_left, stop.is_port_free) == (0, True)
