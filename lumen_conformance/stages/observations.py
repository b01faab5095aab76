"""What stages of several scenarios observe in the same way; none of it judges."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from dataclasses import dataclass
from typing import Any

from lumen_conformance.http.capture import Capture
from lumen_conformance.ports import loopbacks
from lumen_conformance.processes.child_process import ChildProcess
from lumen_conformance.processes.socket_table import list_listening_sockets
from lumen_conformance.targets.launch import LaunchedTarget
from lumen_conformance.waiting import WaitError, observe

SHARES_LIVE_PORTS = os.name == "nt"  # by SO_REUSEADDR; elsewhere that only ignores connections that have ended
SHOWN_CHARS = 120  # of an answer: enough for the message of an error


@dataclass(frozen=True)
class StartObservation:
    """How a launch went: `problem` is empty when it was proven ready."""

    problem: str
    elapsed_s: float
    pid: int
    port: int
    instance: str = ""
    worker_pid: int = 0
    listener_pids: tuple[int, ...] = ()


@dataclass(frozen=True)
class ExitObservation:
    """How a launch ended.

    ``status``       its exit status; None when it had not ended by then
    ``elapsed_s``    from the begin of the wait until it was seen to have ended, or was last seen to run
    ``listened_on``  every port on which its tree was seen to listen meanwhile
    """

    status: int | None
    elapsed_s: float
    listened_on: tuple[int, ...]


def observe_start(proxy: LaunchedTarget, within_s: float) -> StartObservation:
    """Wait for a launch to be proven ready, or note why it was not."""
    try:
        proxy.wait_ready(within_s)
    except WaitError as error:
        problem, _, _ = str(error).partition("\n")  # its log is evidence of its own
        return StartObservation(problem, error.elapsed_s, proxy.pid, proxy.port)
    health = proxy.health()
    holders = tuple(ref.pid for ref in proxy.listeners())
    return StartObservation("", proxy.ready_s, proxy.pid, proxy.port, health.instance, health.pid, holders)


def observe_exit(child: ChildProcess, within_s: float) -> ExitObservation:
    """Wait until a launch has ended, or for so many seconds; the last look may come later than that."""
    ports: set[int] = set()
    status, start_s = None, time.monotonic()
    looked_s = start_s

    def exited() -> bool:
        nonlocal status, looked_s
        status, looked_s = child.exit_status(), time.monotonic()  # before the ports: that look reads all sockets
        ports.update(listening_ports(child))
        return status is not None

    observe("it has ended", exited, within_s=within_s)
    return ExitObservation(status, looked_s - start_s, tuple(sorted(ports)))


def listening_ports(child: ChildProcess) -> tuple[int, ...]:
    """The ports on which a child and its descendants listen now."""
    return tuple(sorted({each.port for each in list_listening_sockets(child.processes())}))


def is_port_free(port: int) -> bool:
    """Whether a server could listen on this port of each loopback now."""
    for family, host in loopbacks():
        with contextlib.closing(socket.socket(family, socket.SOCK_STREAM)) as sock:
            if not SHARES_LIVE_PORTS:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind((host, port))
                sock.listen()
            except OSError:
                return False
    return True


def ask_chat(proxy: LaunchedTarget, question: str) -> Capture:
    """The answer to a chat; a model that once answers without a text is asked again, in other words."""
    chat = proxy.chat(question)
    again = chat.status == 200 and not read_text(chat) and "gateway" not in proxy.target.can
    return proxy.chat(f"{question}. Answer with one word.") if again else chat


def parse_json(capture: Capture) -> Any:  # noqa: ANN401 -- whatever the server sent
    """The JSON of an answer; None for anything else."""
    try:
        return capture.json()
    except (ValueError, RecursionError):
        return None


def read_text(chat: Capture) -> str:
    """The text of the first choice; empty where there is none."""
    try:
        text = parse_json(chat)["choices"][0]["message"]["content"]
    except (KeyError, IndexError, TypeError):
        return ""
    return text if isinstance(text, str) else ""


def describe_response(answer: Capture) -> str:
    """How a request was answered, for people."""
    if answer.status is None:
        return f"no answer after {answer.elapsed_s:.1f} s: {answer.error or answer.ended}"
    return f"status {answer.status}, {answer.ended}: {answer.text[:SHOWN_CHARS]!r}"
