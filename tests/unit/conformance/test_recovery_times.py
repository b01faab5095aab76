"""The times of a recovery are those of the server, without the time that the suite itself takes."""

from __future__ import annotations

import socket
import threading

import pytest

from lumen_conformance.processes import serving_processes
from lumen_conformance.processes.process_tree import ProcessRef
from lumen_conformance.stages.recovery import recover
from lumen_conformance.targets.launch import Launcher

LOOK_S = 1.0  # of a look at all sockets; 0.04 s on a machine with many connections, of which a busy one makes seconds
WITHIN_S = 60.0  # twenty times what a restart takes at most on a busy machine


def test_a_look_at_the_sockets_is_not_in_the_time(launch: Launcher, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of an answer is that of its arrival; the process that gave it is found afterwards."""
    proxy, holder = launch(), serving_processes.find_connection_owner

    def slow_holder(family: tuple[ProcessRef, ...], port: int, sock: socket.socket) -> ProcessRef | None:
        threading.Event().wait(LOOK_S)
        return holder(family, port, sock)

    monkeypatch.setattr(serving_processes, "find_connection_owner", slow_holder)
    recovery = recover(proxy, WITHIN_S)
    assert recovery.answered_s is not None
    assert recovery.answered_s < recovery.waited_s - LOOK_S
