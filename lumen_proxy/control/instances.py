"""The instances of this user: which process holds a port, and what is known of it.

An instance is found by the lock of its port. If a cleaner deleted the lock file, it is found by the listening
socket. The state file and /health describe it; neither decides which process is signalled.
"""

from __future__ import annotations

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lumen_proxy.control import health_request
from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.supervisor import listener, process_identity, restart_record, state
from lumen_proxy.supervisor import port_owner as owner
from lumen_proxy.supervisor.lock_holder import Holder, find_holder, find_stranger, matching

if TYPE_CHECKING:
    from lumen_proxy.config import Settings
    from lumen_proxy.supervisor.state import State

LOOK_S = 2.0  # a proxy that serves answers /health within milliseconds, whatever else it does
LOOKS_AT_ONCE = 16  # of `ps`; each may wait for one /health

Condition = Literal["running", "booting", "draining", "silent", "stopped", "another", "stranger"]
RUNNING: tuple[Condition, str] = ("running", "running")
BOOT_PHASES = {"booting", "waiting"}
DRAIN_PHASES = {"draining", "ending"}


@dataclass(frozen=True)
class Seen:
    """What is on a port. Unknown values are None.

    `silent`: an instance of ours that does not answer. `another`: says that it is a lumen-proxy, but does not hold
    the lock in this state directory: of another user, or started with another LUMEN_STATE_DIR. `state` is the same
    in words, and tells `restarting`, `gave up`, `failed`, `ended unexpectedly` and `stopped by a restart` apart. `log`
    is the journal.
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
    state: str | None = None
    gateway: str | None = None
    sandbox: bool | None = None
    last_failure: str | None = None
    log: str | None = None


def find(settings: Settings) -> Holder | None:
    """The instance of ours on the port of `settings`, whether it answers or not."""
    return find_holder(settings.state_dir, settings.port) or _found_by_socket(settings)


def _found_by_socket(settings: Settings) -> Holder | None:
    """An instance whose lock file was deleted: it still holds the deleted file, and its process tree has the port."""
    if settings.host == "localhost" and taken_address(settings) is None:  # cheaper than the table of all sockets
        return None
    lock_path, state_path = state.paths(settings.state_dir, settings.port)
    for pid in owner.family(hosts(settings), settings.port):
        if process_identity.is_own(pid) and process_identity.holds_lock(pid, lock_path):
            return Holder(pid, is_verified=True, known=matching(state.read(state_path), pid))
    return None


def hosts(settings: Settings) -> tuple[str, ...]:
    """The addresses that an instance with these settings listens on."""
    return listener.LOOPBACKS if settings.host == "localhost" else (settings.host,)


def taken_address(settings: Settings) -> str | None:
    """The first of our addresses where somebody holds the port."""
    return next((host for host in hosts(settings) if listener.is_taken(host, settings.port)), None)


def look(settings: Settings, *, patience_s: float = LOOK_S) -> Seen:
    """Tell what is on the port of `settings`. The lock decides whether it is ours, the answer whether it lives."""
    refuse_port_0(settings)
    if ours := look_at_ours(settings, patience_s):
        return ours
    if who := find_stranger(settings.state_dir, settings.port):
        url = listener.url_of(hosts(settings)[0], settings.port)
        return Seen("stranger", settings.port, url, owner=who, state="taken by another program")
    host = taken_address(settings)
    url = listener.url_of(host or hosts(settings)[0], settings.port)
    if host is None:
        return _look_at_the_end(settings, url)
    is_lumen = health_request.ask(url, patience_s).get("service") == health_request.SERVICE
    who = owner.describe(host, settings.port)
    if is_lumen:
        return Seen("another", settings.port, url, owner=who, state="another lumen-proxy")
    return Seen("stranger", settings.port, url, owner=who, state="taken by another program")


def look_at_all(settings: Settings, port: int | None = None) -> list[Seen]:
    """Look at each port that a file in the state directory names, or at `port` only; in order of ports.

    The port of `settings` is one of them: its instance may have lost its files. Ports without an instance are left out.
    """
    ports = [port] if port is not None else sorted({*state.known_ports(settings.state_dir), settings.port} - {0})
    with ThreadPoolExecutor(LOOKS_AT_ONCE) as pool:
        found = pool.map(lambda port: look(replace(settings, port=port)), ports)
        return [seen for seen in found if seen.condition not in {"another", "stranger"} and seen.state != "stopped"]


def is_stopped(settings: Settings) -> bool:
    """True if a start makes sense: neither we nor a stranger are there. Sends no request."""
    refuse_port_0(settings)
    lock_path, _ = state.paths(settings.state_dir, settings.port)
    return not state.is_locked(lock_path) and taken_address(settings) is None


def refuse_port_0(settings: Settings) -> None:
    """Raise Fatal (64) for a port that names no instance."""
    if not settings.port:
        raise Fatal("port 0 names no instance; say which with --port", Exit.USAGE)


def look_at_ours(settings: Settings, patience_s: float) -> Seen | None:
    """Our instance on the port, or None if there is none."""
    found = find(settings)
    if found is None:
        return None
    known = found.known
    url = known.url if known else listener.url_of(hosts(settings)[0], settings.port)
    answer = health_request.ask(url, patience_s)
    instance = known.instance if known else answer.get("instance")
    is_answer = answer.get("service") == health_request.SERVICE and answer.get("instance", instance) == instance
    if not is_answer:
        answer = {}
    condition, words = RUNNING if is_answer else _phase(known)
    pid = found.pid or answer.get("supervisor_pid")
    return Seen(
        condition, settings.port, url, pid, instance,
        worker_pid=answer.get("pid"),
        generation=answer.get("generation", known.generation if known else None),
        restarts=answer.get("restarts", known.restarts if known else None),
        uptime_s=uptime_s(pid, answer.get("uptime_s")),
        owner=_other_user(found),
        state=words,
        **_described(known),
    )  # fmt: skip


def _other_user(found: Holder) -> str | None:
    """Whose it is, if it is a service of another user that an administrator looks at."""
    if found.pid is None or not process_identity.is_foreign(found.pid):
        return None
    return f"user {process_identity.user_name(found.pid)} (pid {found.pid})"


def _phase(known: State | None) -> tuple[Condition, str]:
    """What an instance that does not answer is doing, by its own words."""
    if known and known.phase in BOOT_PHASES:
        return "booting", "restarting" if known.generation else "booting"
    if known and known.phase in DRAIN_PHASES:
        return "draining", "draining"
    return "silent", "not answering"


def uptime_s(pid: int | None, answered_s: float | None) -> float | None:
    """The age of an instance: by the clock that counts from boot where there is one, else by its own word."""
    stamp = process_identity.start_stamp(pid) if pid else None
    if stamp is None or not hasattr(time, "CLOCK_BOOTTIME"):
        return answered_s
    return round(max(time.clock_gettime(time.CLOCK_BOOTTIME) - stamp, 0.0), 3)


def _described(known: State | None) -> dict[str, Any]:
    if known is None:
        return {}
    failure = known.last_failure
    said = f"{failure.get('what')} at {clock(failure.get('at', ''))}" if failure else None
    return {"gateway": known.gateway_url, "sandbox": known.sandbox, "last_failure": said, "log": known.log}


def _look_at_the_end(settings: Settings, url: str) -> Seen:
    """Nothing is on the port: was the last end unexpected?"""
    _, state_path = state.paths(settings.state_dir, settings.port)
    last = state.read(state_path) or state.read(state.end_path(settings.state_dir, settings.port))
    last = last or restart_record.interrupted(settings.state_dir, settings.port)
    if last is None:
        return Seen("stopped", settings.port, url, state="stopped")
    ended = last.ended or {"kind": "ended unexpectedly", "at": _last_sign(last, state_path), "what": ""}
    preposition = "at" if last.ended else "after"
    said = f"{ended.get('kind')} {preposition} {clock(ended.get('at', ''))}"
    said += f": {ended['what']}" if ended.get("what") else " (killed, or the machine went down)"
    described = _described(last) | {"last_failure": said}
    return Seen(
        "stopped",
        settings.port,
        url,
        instance=last.instance,
        restarts=last.restarts,
        state=ended.get("kind"),
        **described,
    )


def _last_sign(last: State, state_path: Path) -> str:
    """When the instance wrote its last line, in ISO 8601."""
    times = []
    for path in (state_path, Path(last.log or state_path)):
        with contextlib.suppress(OSError):
            times.append(path.stat().st_mtime)
    return datetime.fromtimestamp(max(times, default=0.0), UTC).isoformat()


def clock(at: str) -> str:
    """A time in ISO 8601 as people read it here: with its date unless it is today."""
    try:
        then = datetime.fromisoformat(at).astimezone()
    except ValueError:
        return "an unknown time"
    is_today = then.date() == datetime.now().astimezone().date()
    return f"{then:%H:%M:%S}" if is_today else f"{then:%Y-%m-%d %H:%M:%S}"
