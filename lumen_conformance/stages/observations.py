"""Observations that stages of several scenarios share; none of them judges."""

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
from lumen_conformance.stages.stage_steps import StageStep
from lumen_conformance.targets.launch import LaunchedTarget
from lumen_conformance.waiting import WaitError, observe

SHARES_LIVE_PORTS = (
    os.name == "nt"
)  # by SO_REUSEADDR; on other systems that option only ignores connections that have ended
SHOWN_CHARS = 120  # of an answer: enough for the message of an error


@dataclass(frozen=True)
class StartObservation(StageStep):
    """The start of a launch: `problem` is empty when it became ready."""

    is_precondition = True
    problem: str
    elapsed_s: float
    pid: int
    port: int
    instance: str = ""
    worker_pid: int = 0
    listener_pids: tuple[int, ...] = ()


@dataclass(frozen=True)
class ExitObservation(StageStep):
    """The end of a launch.

    ``status``       its exit status; None when it did not end in time
    ``elapsed_s``    from the start of the wait until its end, or until the last time at which it ran
    ``listened_on``  every port on which its processes listened meanwhile
    """

    status: int | None
    elapsed_s: float
    listened_on: tuple[int, ...]


def observe_start(proxy: LaunchedTarget, within_s: float) -> StartObservation:
    """Wait until a launch is ready; return why it was not."""
    try:
        proxy.wait_ready(within_s)
    except WaitError as error:
        problem, _, _ = str(error).partition("\n")  # its log is evidence of its own
        return StartObservation(problem, error.elapsed_s, proxy.pid, proxy.port)
    health = proxy.health()
    holders = tuple(ref.pid for ref in proxy.listeners())
    return StartObservation("", proxy.ready_s, proxy.pid, proxy.port, health.instance, health.pid, holders)


def observe_exit(child: ChildProcess, within_s: float) -> ExitObservation:
    """Wait for the end of a launch, or for so many seconds; the last probe may come later."""
    ports: set[int] = set()
    status, start_s = None, time.monotonic()
    probed_s = start_s

    def exited() -> bool:
        nonlocal status, probed_s
        status, probed_s = (
            child.exit_status(),
            time.monotonic(),
        )  # before the ports: they take longer, as all sockets are read
        ports.update(listening_ports(child))
        return status is not None

    observe("it has ended", exited, within_s=within_s)
    return ExitObservation(status, probed_s - start_s, tuple(sorted(ports)))


def listening_ports(child: ChildProcess) -> tuple[int, ...]:
    """Return the ports on which a child and its descendants listen now."""
    return tuple(sorted({each.port for each in list_listening_sockets(child.processes())}))


def is_port_free(port: int) -> bool:
    """Return whether a server could listen on this port of each loopback address now."""
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


def count_ready_lines(proxy: LaunchedTarget, within_s: float) -> int:
    """Return how often our own proxy has printed its address; wait for what follows the line of a second worker."""
    if "journal" not in proxy.target.can:
        return 0

    def is_after_restart() -> bool:
        names = [event.name for event in proxy.journal.events()]
        return names.count("ready") > 1 and names[::-1].index("ready") > 0  # the line is between the two events

    observe("the supervisor has gone on after the restart", is_after_restart, within_s=within_s)
    return proxy.stdout.read_text("utf-8").count(f"ready on {proxy.url} ")


def ask_chat(proxy: LaunchedTarget, question: str) -> Capture:
    """Return the answer to a chat; a model that answers without a text is asked once more, with a hint."""
    chat = proxy.chat(question)
    is_empty = chat.status == 200 and not read_text(chat) and "gateway" not in proxy.target.can
    return proxy.chat(f"{question}. Answer with one word.") if is_empty else chat


def parse_json(capture: Capture) -> Any:  # noqa: ANN401 -- whatever the server sent
    """Return the JSON of an answer; None for anything else."""
    try:
        return capture.json()
    except (ValueError, RecursionError):
        return None


def read_text(chat: Capture) -> str:
    """Return the text of the first choice; empty where there is none."""
    try:
        text = parse_json(chat)["choices"][0]["message"]["content"]
    except (KeyError, IndexError, TypeError):
        return ""
    return text if isinstance(text, str) else ""


def describe_response(answer: Capture) -> str:
    """Return a text about the answer to a request."""
    if answer.status is None:
        return f"no answer after {answer.elapsed_s:.1f} s: {answer.error or answer.ended}"
    return f"status {answer.status}, {answer.ended}: {answer.text[:SHOWN_CHARS]!r}"
