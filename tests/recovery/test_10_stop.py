"""Scenario 10: a stop finishes the work in flight, whichever processes get the signal.

Setup: a gate holds one question at the gateway, so that it is certainly in flight. A terminal (Ctrl-C) and a control
group of systemd send the signal to all processes: the proxy must drain as after a signal to the supervisor alone.
"""

from __future__ import annotations

import signal
import threading
from concurrent.futures import ThreadPoolExecutor

from lumen_conformance.gateway.replies import gated
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http.client import Connection
from lumen_conformance.processes.child_process import WINDOWS
from lumen_conformance.processes.process_tree import list_tree
from lumen_conformance.registry import check, check_each
from lumen_conformance.stages.observations import is_port_free
from lumen_conformance.targets.launch import LaunchedTarget, Launcher
from lumen_conformance.waiting import observe, until

STOP_BUDGET_S = 5.0  # no work is left when the gate is open: the exit of two interpreters takes 0.1 s here
ONE_SIGNAL_S = 0.1  # signals within 20 ms count as one (ADR 3); five times that
CUT = 70

SIGNALS = {
    "10.1.sigterm-alone": lambda proxy: proxy.stop(),
    "10.2.sigterm-group": lambda proxy: proxy.send_group(signal.SIGTERM),
    "10.3.ctrl-c-group": lambda proxy: proxy.send_group(signal.SIGINT),
}
if WINDOWS:  # a group gets CTRL_BREAK there, which is what stop() sends
    SIGNALS = {"10.1.ctrl-break": SIGNALS["10.1.sigterm-alone"]}


@check_each("send_signal", SIGNALS)
def test_work_in_flight_is_finished(launch: Launcher, gateway: ScriptedGateway, send_signal: object) -> None:
    """The held question is answered, then the proxy ends with status 0, no worker has died, and the port is free."""
    proxy, gate = launch(gateway=gateway), threading.Event()
    gateway.standing = gated(gate)
    with ThreadPoolExecutor(1) as client:
        answer = client.submit(proxy.chat, "아직 듣고 있어요?")
        gateway.until_called(1)
        send_signal(proxy)  # type: ignore[operator]
        proxy.journal.until("draining", within_s=STOP_BUDGET_S)
        gate.set()
        assert answer.result().status == 200
    assert proxy.wait_exit(STOP_BUDGET_S) == 0
    assert not proxy.journal.events(name="worker_died")
    assert is_port_free(proxy.port)


@check("10.4-second-signal")
def test_second_signal_ends_at_once(launch: Launcher, gateway: ScriptedGateway) -> None:
    """A second signal ends the proxy without the work in flight, and the exit status says that it was cut."""
    proxy, gate = launch(gateway=gateway), threading.Event()
    gateway.standing = gated(gate)
    with ThreadPoolExecutor(1) as client:
        answer = client.submit(proxy.chat, "끝까지 들을 수 없어요")
        gateway.until_called(1)
        proxy.stop()
        proxy.journal.until("draining", within_s=STOP_BUDGET_S)
        # One Ctrl-C may arrive twice within milliseconds (terminal and wrapper), so the second signal is sent later.
        observe("it ends by itself", proxy.end_reason, within_s=ONE_SIGNAL_S)
        proxy.stop()
        assert proxy.wait_exit(STOP_BUDGET_S) == CUT
        assert answer.result().status != 200
    assert_ended(proxy)


@check("10.5-drain-deadline")
def test_drain_has_a_deadline(launch: Launcher, gateway: ScriptedGateway) -> None:
    """Work that does not end is cut at the deadline, and the exit status says that it was cut."""
    proxy, gate = launch(gateway=gateway, env={"LUMEN_DRAIN_S": "0.2"}), threading.Event()
    gateway.standing = gated(gate)
    with ThreadPoolExecutor(1) as client:
        answer = client.submit(proxy.chat, "언제 끝나요?")
        gateway.until_called(1)
        proxy.stop()
        assert proxy.wait_exit(STOP_BUDGET_S) == CUT
        assert answer.result().status != 200
    assert_ended(proxy)


@check("10.6-idle-connections")
def test_idle_stop_is_clean(launch: Launcher, gateway: ScriptedGateway) -> None:
    """An idle connection does not delay a stop: the proxy ends with status 0, and its journal with ``stopped``."""
    proxy = launch(gateway=gateway)
    with Connection(proxy.url) as idle:
        assert idle.call("GET", "/health").status == 200
        assert idle.stays_open(0)
        proxy.stop()
        assert proxy.wait_exit(STOP_BUDGET_S) == 0
    assert proxy.journal.events()[-1].name == "stopped"
    assert_ended(proxy)


def assert_ended(proxy: LaunchedTarget) -> None:
    until("all processes have ended", lambda: not proxy.processes(), within_s=STOP_BUDGET_S)
    assert list_tree(proxy.ref) == ()
    assert is_port_free(proxy.port)
