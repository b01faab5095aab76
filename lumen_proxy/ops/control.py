"""Start, stop and look at the instance on a port, from outside of it.

A process is signalled only if the lock is held, the state file names it *and* its start time matches: a
number alone may long belong to a stranger. Whatever else holds the port is named and left alone.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import socket
import subprocess
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from lumen_proxy import safe_path
from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.ops import console
from lumen_proxy.supervisor import listener, owner, platform, state

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psutil

    from lumen_proxy.config import Settings

LOOK_S = 2.0  # a proxy that serves answers /health within milliseconds, whatever else it does
BOOTING_S = 10.0  # the backlog holds the question until the worker is up
START_S = 45.0  # the supervisor itself ends a worker that is not ready after 30 s
STOP_MARGIN_S = 10.0  # on top of the drain: the supervisor's own grace and a slow machine
KILL_S = 5.0
LOOK_AGAIN_S = 0.05  # how soon a zombie is noticed; an orderly end is noticed at once
READY = re.compile(r"ready on (\S+) \(pid (\d+), instance (\w+)\)")
ANSWER_BYTES = 65_536  # far above any health answer of ours

SERVICE = "lumen-proxy"  # in our /health; anybody can say so

Condition = Literal["running", "silent", "stopped", "another", "stranger"]


@dataclass(frozen=True)
class Seen:
    """What is on the port. Unknown values are None.

    `silent`: an instance of ours that does not answer. `another`: says that it is a lumen-proxy, but does not hold
    the lock in this state directory: of another user, or started with another LUMEN_STATE_DIR.
    """

    condition: Condition
    port: int
    url: str
    pid: int | None = None
    instance: str | None = None
    worker_pid: int | None = None
    generation: int | None = None
    restarts: int | None = None
    uptime_s: float | None = None
    owner: str | None = None


def look(settings: Settings, *, patience_s: float = LOOK_S) -> Seen:
    """Tell what is on the port of `settings`. The lock decides whether it is ours, the answer whether it lives."""
    _refuse_port_0(settings)
    ours = _look_at_ours(settings, patience_s)
    if ours:
        return ours
    host = _host(settings)
    url = listener.url_of(host, settings.port)
    if not listener.answers(host, settings.port):
        return Seen("stopped", settings.port, url)
    condition: Condition = "another" if _health(url, patience_s).get("service") == SERVICE else "stranger"
    return Seen(condition, settings.port, url, owner=owner.describe(host, settings.port))


def is_stopped(settings: Settings) -> bool:
    """True if a start makes sense: neither we nor a stranger are there. Asks nobody."""
    _refuse_port_0(settings)
    lock_path, _ = state.paths(settings.state_dir, settings.port)
    return not state.is_locked(lock_path) and not listener.answers(_host(settings), settings.port)


def _refuse_port_0(settings: Settings) -> None:
    if not settings.port:
        raise Fatal("port 0 names no instance; say which with --port", Exit.USAGE)


def _host(settings: Settings) -> str:
    return "127.0.0.1" if settings.host == "localhost" else settings.host


def _look_at_ours(settings: Settings, patience_s: float) -> Seen | None:
    lock_path, _ = state.paths(settings.state_dir, settings.port)
    known = state.holder(settings.state_dir, settings.port)
    if known is None and not state.is_locked(lock_path):
        return None
    url = known.url if known else listener.url_of(_host(settings), settings.port)
    health = _health(url, patience_s)
    pid, instance = (known.pid, known.instance) if known else (health.get("supervisor_pid"), health.get("instance"))
    if health.get("service") != SERVICE or health.get("instance", instance) != instance:
        return Seen("silent", settings.port, url, pid, instance)
    facts = {name: health.get(name) for name in ("generation", "restarts", "uptime_s")}
    return Seen("running", settings.port, url, pid, instance, worker_pid=health.get("pid"), **facts)


@dataclass(frozen=True)
class Outcome:
    """What a command did. `said` is its line for standard output; `problems` are lines for standard error."""

    did: Literal["started", "already_running", "stopped", "not_running", "killed", "failed"]
    exit_status: Exit
    port: int
    said: str | None = None
    pid: int | None = None
    instance: str | None = None
    url: str | None = None
    problems: tuple[str, ...] = ()


def start(settings: Settings) -> Outcome:
    """Start an instance that outlives us and wait until it is ready; one that runs already is as good."""
    if settings.port and (running := _running(settings)):
        return running
    outcome = _launch(settings)
    if outcome.exit_status is Exit.PORT_IN_USE and settings.port and (running := _running(settings)):
        return running  # somebody was a moment faster
    return outcome


def _running(settings: Settings) -> Outcome | None:
    seen = _look_at_ours(settings, BOOTING_S)
    if seen is None or seen.condition != "running":
        return None
    said = f"{console.PREFIX}already running on {seen.url} (pid {seen.pid}, instance {seen.instance})"
    return Outcome("already_running", Exit.OK, seen.port, said, seen.pid, seen.instance, seen.url)


def stop(settings: Settings) -> Outcome:
    """Stop the instance and wait until it is gone; none is as good."""
    _refuse_port_0(settings)
    lock_path, state_path = state.paths(settings.state_dir, settings.port)
    known = state.holder(settings.state_dir, settings.port)
    locked = state.is_locked(lock_path)
    if locked is None:
        problem = f"not permitted to look at {lock_path}: it is another user's"
        raise Fatal(f"{problem}; ask that user, or set LUMEN_STATE_DIR to your own", Exit.NO_PERMISSION)
    if known is None and locked:
        problem = f"port {settings.port} is held by a lumen-proxy whose state file {state_path} cannot be trusted"
        raise Fatal(
            f"{problem}; find its pid with: lumen-proxy status --port {settings.port}, and stop it by hand", Exit.IO
        )
    if known is None:
        with contextlib.suppress(OSError):
            state_path.unlink()
        return Outcome("not_running", Exit.OK, settings.port, f"not running on port {settings.port}")
    return _end(known)


def _health(url: str, patience_s: float) -> dict[str, Any]:
    """What /health says in time, or nothing. No proxy variables, no redirects."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=patience_s)
    try:
        connection.connect()
        with _hung_up_after(patience_s, connection.sock):
            connection.request("GET", "/health")
            answer = json.loads(connection.getresponse().read(ANSWER_BYTES))
    except (OSError, http.client.HTTPException, ValueError):
        return {}
    finally:
        connection.close()
    return answer if isinstance(answer, dict) else {}


@contextlib.contextmanager
def _hung_up_after(patience_s: float, sock: socket.socket) -> Iterator[None]:
    """A connection's own time-out starts anew with every byte."""

    def hang_up() -> None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)

    too_late = threading.Timer(patience_s, hang_up)
    too_late.start()
    try:
        yield
    finally:
        too_late.cancel()


def _launch(settings: Settings) -> Outcome:
    """Start an instance and wait for its ready line; if it ends instead, return its status and its last words."""
    words = settings.log_dir / f"console-{settings.port}.log"
    with state.writable(settings.log_dir, "LUMEN_LOG_DIR"):
        settings.log_dir.mkdir(parents=True, exist_ok=True)
        errors = words.open("ab")
    with errors:
        said_before = errors.tell()  # by an instance that is gone, or that still runs but is silent
        process = subprocess.Popen(
            [*safe_path.command("lumen_proxy"), "serve", "--detached", *["--sandbox"] * settings.sandboxed],
            env={**os.environ, **settings.environ()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            **platform.detached_options(),
        )
    too_late = threading.Timer(START_S, process.kill)
    too_late.start()
    try:
        ready = next((line for line in process.stdout or () if b": ready on " in line), None)
    finally:
        too_late.cancel()
        if process.stdout:
            process.stdout.close()
    if ready:
        return _started(ready.decode("ascii", "replace").rstrip(), settings.port)
    status = process.wait()
    said = words.read_bytes()[said_before:].decode("utf-8", "replace")
    lines = [line.strip().removeprefix(console.PREFIX) for line in said.split("\n")]
    exit_status = Exit(status) if status and status in set(Exit) else Exit.SOFTWARE
    return Outcome("failed", exit_status, settings.port, problems=tuple(filter(None, lines)))


def _started(ready_line: str, port: int) -> Outcome:
    found = READY.search(ready_line)
    if not found:
        return Outcome("started", Exit.OK, port, ready_line)
    url, pid, instance = found.groups()
    return Outcome("started", Exit.OK, urlsplit(url).port or port, ready_line, int(pid), instance, url)


def _end(known: state.State) -> Outcome:
    import psutil  # noqa: PLC0415

    try:
        supervisor = psutil.Process(known.pid)
        family = [supervisor, *supervisor.children(recursive=True)]
        platform.ask_to_stop(known.pid, known.instance)
    except (psutil.NoSuchProcess, ProcessLookupError):
        family = []  # it went by itself
    except PermissionError:
        problem = f"not permitted to stop the proxy on port {known.port} (pid {known.pid})"
        raise Fatal(f"{problem}; ask the user who started it", Exit.NO_PERMISSION) from None
    alive = _outlived(family, known.drain_s + STOP_MARGIN_S)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    if _outlived(alive, KILL_S):
        raise Fatal(f"the proxy on port {known.port} (pid {known.pid}) does not end", Exit.SOFTWARE)
    did: Literal["killed", "stopped"] = "killed" if alive else "stopped"
    status = Exit.SOFTWARE if alive else Exit.OK
    said = f"{did}: port {known.port} (pid {known.pid})"
    return Outcome(did, status, known.port, said, known.pid, known.instance, known.url)


def _outlived(processes: list[psutil.Process], within_s: float) -> list[psutil.Process]:
    """Wait until all are gone; return those that are not. A zombie is gone: its parent may take its time."""
    import psutil  # noqa: PLC0415

    deadline = time.monotonic() + within_s
    while processes and time.monotonic() < deadline:
        _, processes = psutil.wait_procs(processes, timeout=LOOK_AGAIN_S)
        processes = [process for process in processes if state.start_time(process.pid) is not None]
    return processes
