"""What is on a port: an instance of this program in some condition, another program, or nothing.

The lock of the port decides which process is the instance (see `lock_holder`). The state file and /health describe it.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lumen_proxy.control import health_request, restart_record
from lumen_proxy.control.lock_holder import LockHolder, find, find_other_program, hosts, taken_address
from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.supervisor import instance_lock, listener, port_owner, process_identity, state, time_limits

if TYPE_CHECKING:
    from lumen_proxy.config import Settings
    from lumen_proxy.supervisor.state import InstanceState

HEALTH_S = 2.0  # a proxy that serves answers /health within milliseconds under any load
POLL_S = 0.05  # a handover takes milliseconds
INSPECTIONS_AT_ONCE = 16  # of `ps`; each may wait for one /health

Condition = Literal["running", "booting", "draining", "silent", "stopped", "another", "stranger"]
RUNNING: tuple[Condition, str] = ("running", "running")
BOOT_PHASES = {"booting", "waiting"}
DRAIN_PHASES = {"draining", "ending"}


@dataclass(frozen=True)
class Hang:
    """A worker that serves no longer, and in what time the watchdog replaces it."""

    worker_pid: int
    silent_s: float
    replaced_within_s: float

    def __str__(self) -> str:
        within_s = max(math.ceil(self.replaced_within_s), 1)
        silence = f"the worker (pid {self.worker_pid}) has not answered for {self.silent_s:.0f} s"
        return f"{silence}; the watchdog replaces it within {within_s} s"


@dataclass(frozen=True)
class PortStatus:
    """What is on a port. Unknown values are None.

    `silent`: an instance that does not respond. `another`: a lumen-proxy that does not hold the lock in this state
    directory; another user runs it, or it was started with another LUMEN_STATE_DIR. `stranger`: another program.
    `state` is a text for people; it also distinguishes `restarting`, `hung`, `gave up`, `failed`, `ended unexpectedly`
    and `stopped by a restart`. `hang` says how long the worker has been silent, and when it will be replaced. `log` is
    the journal.
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
    hang: Hang | None = None


def inspect(settings: Settings, *, within_s: float = HEALTH_S) -> PortStatus:
    """What is on the port of `settings`. /health must respond within `within_s`."""
    require_port(settings)
    if own := inspect_own(settings, within_s):
        return own
    if owner := find_other_program(settings.state_dir, settings.port):
        url = listener.url_of(hosts(settings)[0], settings.port)
        return PortStatus("stranger", settings.port, url, owner=owner, state="taken by another program")
    host = taken_address(settings)
    url = listener.url_of(host or hosts(settings)[0], settings.port)
    if host is None:
        return _inspect_end(settings, url)
    with ThreadPoolExecutor(1) as pool:  # on a busy machine the look-up takes as long as the wait for /health
        found = pool.submit(port_owner.describe, host, settings.port)
        is_lumen = health_request.get(url, within_s).get("service") == health_request.SERVICE
        owner = found.result()
    if is_lumen or any(map(process_identity.is_lumen_proxy, port_owner.find_holders([host], settings.port))):
        return PortStatus("another", settings.port, url, owner=owner, state="another lumen-proxy")
    return PortStatus("stranger", settings.port, url, owner=owner, state="taken by another program")


def inspect_all(settings: Settings, port: int | None) -> list[PortStatus]:
    """Inspect each port that a file in the state directory names, or `port` only; in order of ports.

    The port of `settings` is included: its instance may have lost its files. Ports without an instance are left out.
    """
    ports = [port] if port is not None else sorted({*state.known_ports(settings.state_dir), settings.port} - {0})
    with ThreadPoolExecutor(INSPECTIONS_AT_ONCE) as pool:
        rows = pool.map(lambda port: inspect(replace(settings, port=port)), ports)
        return [row for row in rows if row.condition not in {"another", "stranger"} and row.state != "stopped"]


def is_free(settings: Settings) -> bool:
    """True if nothing is on the port, so that a start makes sense. Sends no request."""
    require_port(settings)
    lock_path = instance_lock.lock_path(settings.state_dir, settings.port)
    return not instance_lock.is_locked(lock_path) and taken_address(settings) is None


def require_port(settings: Settings) -> None:
    """Raise Fatal (64) for port 0, which names no instance."""
    if not settings.port:
        raise Fatal("port 0 is invalid here: expected the port of an instance; give it with --port", Exit.USAGE)


def inspect_own(settings: Settings, within_s: float) -> PortStatus | None:
    """The instance on the port, or None if there is none."""
    holder, health = _find_and_ask(settings, within_s)
    if holder is None:
        return None
    known = holder.state
    url = _url(holder, settings)
    instance = known.instance if known else health.get("instance")
    if known and not health:
        known = _read_again(known, settings)
    hang = _hang(known.hang) if known and known.hang and not health else None
    pid = holder.pid or health.get("supervisor_pid")
    condition, text = RUNNING if health else _condition_by_phase(known, pid)
    return PortStatus(
        condition, settings.port, url, pid, instance,
        worker_pid=hang.worker_pid if hang else health.get("pid"),
        generation=health.get("generation", known.generation if known else None),
        restarts=health.get("restarts", known.restarts if known else None),
        uptime_s=uptime_s(pid, health.get("uptime_s")),
        owner=_other_user(holder),
        state=text,
        hang=hang,
        **_description(known),
    )  # fmt: skip


def _read_again(known: InstanceState, settings: Settings) -> InstanceState:
    """The state file after /health: meanwhile the supervisor may have noticed that the worker is silent."""
    later = state.read(state.state_path(settings.state_dir, settings.port))
    return later if later and later.instance == known.instance else known


def _hang(recorded: dict[str, Any]) -> Hang:
    limit_s = recorded["watchdog_s"]
    longest_s = 4 * limit_s  # another container may have another clock
    silent_s = min(max(time.monotonic() - recorded["since_mono"], 0.0), longest_s)
    return Hang(recorded["worker_pid"], round(silent_s, 3), round(max(limit_s - silent_s, 0.0), 3))


def _find_and_ask(settings: Settings, within_s: float) -> tuple[LockHolder | None, dict[str, Any]]:
    """The instance on the port, and its /health, which is empty if it does not respond.

    While the port is handed over, another instance may respond than the one of the state file: ask again then.
    """
    deadline = time.monotonic() + within_s
    while (holder := find(settings)) is not None:
        health = health_request.get(_url(holder, settings), within_s)
        instance = holder.state.instance if holder.state else None
        if health.get("service") != health_request.SERVICE:
            return holder, {}
        if instance is None or health.get("instance", instance) == instance:
            return holder, health
        if time.monotonic() > deadline:
            return holder, {}
        threading.Event().wait(POLL_S)
    return None, {}


def _url(holder: LockHolder, settings: Settings) -> str:
    return holder.state.url if holder.state else listener.url_of(hosts(settings)[0], settings.port)


def _other_user(holder: LockHolder) -> str | None:
    """The user of an instance that belongs to another user; an administrator sees such instances."""
    if holder.pid is None or not process_identity.is_foreign(holder.pid):
        return None
    return f"user {process_identity.user_name(holder.pid)} (pid {holder.pid})"


def _condition_by_phase(known: InstanceState | None, pid: int | None) -> tuple[Condition, str]:
    """The condition of an instance that does not respond, by its state file: without one it has just started."""
    age_s = uptime_s(pid, None)
    if known is None and age_s is not None and age_s < time_limits.BOOT_S:
        return "booting", "booting"
    if known and known.phase == "hung":
        return "silent", "hung"
    if known and known.phase in BOOT_PHASES:
        return "booting", "restarting" if known.generation else "booting"
    if known and known.phase in DRAIN_PHASES:
        return "draining", "draining"
    return "silent", "not answering"


def uptime_s(pid: int | None, reported_s: float | None) -> float | None:
    """The age of an instance: by the clock that counts from boot if there is one, else as /health reports it."""
    stamp = process_identity.start_stamp(pid) if pid else None
    if stamp is None or not hasattr(time, "CLOCK_BOOTTIME"):
        return reported_s
    return round(max(time.clock_gettime(time.CLOCK_BOOTTIME) - stamp, 0.0), 3)


def _description(known: InstanceState | None) -> dict[str, Any]:
    if known is None:
        return {}
    failure = known.last_failure
    text = f"{failure.get('what')} at {local_time(failure.get('at', ''))}" if failure else None
    return {"gateway": known.gateway_url, "sandbox": known.sandbox, "last_failure": text, "log": known.log}


def _inspect_end(settings: Settings, url: str) -> PortStatus:
    """Nothing is on the port: check whether the last instance ended unexpectedly."""
    place = settings.state_dir, settings.port
    state_path = state.state_path(*place)
    last = state.read(state_path) or state.read(state.end_path(*place)) or restart_record.read_interrupted(*place)
    if last is None:
        return PortStatus("stopped", settings.port, url, state="stopped")
    ended = last.ended or {"kind": "ended unexpectedly", "at": _last_write(last, state_path), "what": ""}
    preposition = "at" if last.ended else "after"
    reason = f": {ended['what']}" if ended.get("what") else " (killed, or the machine went down)"
    text = f"{ended.get('kind')} {preposition} {local_time(ended.get('at', ''))}{reason}"
    return PortStatus(
        "stopped",
        settings.port,
        url,
        instance=last.instance,
        restarts=last.restarts,
        state=ended.get("kind"),
        **_description(last) | {"last_failure": text},
    )


def _last_write(last: InstanceState, state_path: Path) -> str:
    """When the instance last wrote to a file, in ISO 8601."""
    times = []
    for path in (state_path, Path(last.log or state_path)):
        with contextlib.suppress(OSError):
            times.append(path.stat().st_mtime)
    return datetime.fromtimestamp(max(times, default=0.0), UTC).isoformat()


def local_time(at: str) -> str:
    """A time in ISO 8601 as local time, with its date unless it is today."""
    try:
        then = datetime.fromisoformat(at).astimezone()
    except ValueError:
        return "an unknown time"
    is_today = then.date() == datetime.now().astimezone().date()
    return f"{then:%H:%M:%S}" if is_today else f"{then:%Y-%m-%d %H:%M:%S}"
