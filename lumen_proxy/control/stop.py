"""Stop the instance on a port.

A process is signalled only if it is verified as the holder of the lock (see `lock_holder`): a PID alone may belong to
another program. Any other program on the port is named and not signalled.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Literal

from lumen_proxy import platform
from lumen_proxy.control import health_request, restart_record
from lumen_proxy.control.advice import selectors
from lumen_proxy.control.instances import HEALTH_S, inspect, require_port
from lumen_proxy.control.lock_holder import LockHolder, find, hosts
from lumen_proxy.control.result import ControlResult
from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.supervisor import instance_lock, listener, process_identity

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import psutil

    from lumen_proxy.config import Settings
    from lumen_proxy.supervisor.state import InstanceState

MARGIN_S = 10.0  # on top of the drain: the grace period of the supervisor and a slow machine
KILL_S = 5.0
POLL_S = 0.05  # how soon a zombie is noticed; a normal end is noticed at once


def stop(settings: Settings, notify: Callable[[str], None] = lambda _: None) -> ControlResult:
    """Stop the instance. A restart in progress starts no instance, or the instance that it started is stopped, too."""
    require_port(settings)
    place = settings.state_dir, settings.port
    if restart_record.read_interrupted(*place) is None:
        restart_record.remove(*place)  # this cancels a restart in progress
    result = stop_now(settings)
    if restart_record.wait_for_restart(*place, notify):
        second = stop_now(settings)
        result = result if second.did == "not_running" else second
    if result.exit_status is not Exit.PORT_IN_USE:
        restart_record.remove(*place)
    return result


def stop_now(settings: Settings) -> ControlResult:
    """Stop the instance, whatever a restart does. No instance is a success; another program on the port is not (75)."""
    require_port(settings)
    lock_path = instance_lock.lock_path(settings.state_dir, settings.port)
    if instance_lock.is_locked(lock_path) is None:
        problem = f"cannot check the lock {lock_path}: permission denied, it belongs to another user"
        raise Fatal(f"{problem}; ask that user, or set LUMEN_STATE_DIR to your own folder", Exit.NO_PERMISSION)
    holder = find(settings)
    if holder is None:
        return _nothing_to_stop(settings)
    if holder.pid is None or not holder.is_verified:
        raise _unverified(holder, settings, lock_path)
    if not process_identity.is_own(holder.pid):
        user = f"user {process_identity.user_name(holder.pid)}"
        return _refuse(settings, f"a lumen-proxy of {user} (pid {holder.pid})", f"ask {user} to stop it")
    return _end(holder.pid, process_identity.start_stamp(holder.pid), holder.state, settings)


def _nothing_to_stop(settings: Settings) -> ControlResult:
    status = inspect(settings)
    if status.condition == "another":
        advice = f"run lumen-proxy stop{selectors(settings)} as the user who started it, with the same LUMEN_STATE_DIR"
        return _refuse(settings, f"another lumen-proxy: {status.owner}", advice)
    if status.condition == "stranger":
        return _refuse(settings, f"{status.owner}", "stop that program itself, or choose another --port")
    said = f"not running on port {settings.port}" + (f": {status.last_failure}" if status.last_failure else "")
    return ControlResult("not_running", Exit.OK, settings.port, said)


def _refuse(settings: Settings, owner: str, advice: str) -> ControlResult:
    problem = f"port {settings.port} is held by {owner}; it is not this proxy, so nothing was stopped; {advice}"
    return ControlResult("refused", Exit.PORT_IN_USE, settings.port, problems=(problem,))


def _unverified(holder: LockHolder, settings: Settings, lock_path: Path) -> Fatal:
    """The lock is held, but the operating system does not show by which process."""
    problem = f"cannot stop port {settings.port}: a lumen-proxy holds {lock_path}"
    if holder.pid is None:
        return Fatal(f"{problem}, but its PID is not known; end that process yourself", Exit.IO)
    user = process_identity.user_name(holder.pid) or "not visible"
    problem = f"{problem}, probably pid {holder.pid}, user {user}, but this user cannot see when that process started"
    return Fatal(f"{problem}; stop it as its own user", Exit.NO_PERMISSION)


def _end(pid: int, stamp: float | None, known: InstanceState | None, settings: Settings) -> ControlResult:
    """Ask the supervisor to end; kill it and its children if they do not end in time."""
    url, instance, drain_s = listener.url_of(hosts(settings)[0], settings.port), None, settings.drain_s
    if known:
        url, instance, drain_s = known.url, known.instance, known.drain_s
    name = instance or str(health_request.get(url, HEALTH_S).get("instance"))
    remaining = kill_all(wait_for_end(_request_stop(pid, stamp, name, settings), drain_s + MARGIN_S))
    if wait_for_end(remaining, KILL_S):
        problem = f"cannot stop the proxy on port {settings.port}: process {pid} still runs {KILL_S:g} s after SIGKILL"
        raise Fatal(f"{problem}; end it as an administrator", Exit.SOFTWARE)
    did: Literal["killed", "stopped"] = "killed" if remaining else "stopped"
    status = Exit.SOFTWARE if remaining else Exit.OK
    return ControlResult(did, status, settings.port, f"{did}: port {settings.port} (pid {pid})", pid, instance, url)


def _request_stop(pid: int, stamp: float | None, instance: str, settings: Settings) -> list[psutil.Process]:
    """Ask the supervisor to end; return it and its descendants. Empty if it has ended. Raises Fatal (77)."""
    import psutil  # noqa: PLC0415

    try:
        processes = list_processes(pid)
        if stamp is None or not process_identity.is_same_start(stamp, process_identity.start_stamp(pid)):
            return []  # the PID belongs to another process now
        platform.request_stop(pid, instance)
    except (psutil.NoSuchProcess, ProcessLookupError):
        return []
    except PermissionError:
        problem = f"cannot stop the proxy on port {settings.port}: permission denied (pid {pid})"
        raise Fatal(f"{problem}; ask the user who started it", Exit.NO_PERMISSION) from None
    return processes


def list_processes(pid: int) -> list[psutil.Process]:
    """A process and its descendants. Raises psutil.NoSuchProcess."""
    import psutil  # noqa: PLC0415

    supervisor = psutil.Process(pid)
    return [supervisor, *supervisor.children(recursive=True)]


def kill_all(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Kill the processes and return them."""
    import psutil  # noqa: PLC0415

    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()
    return processes


def wait_for_end(processes: list[psutil.Process], within_s: float) -> list[psutil.Process]:
    """Wait until all have ended; return those that have not. A zombie has ended: its parent may reap it later."""
    import psutil  # noqa: PLC0415

    deadline = time.monotonic() + within_s
    while processes and time.monotonic() < deadline:
        _, processes = psutil.wait_procs(processes, timeout=POLL_S)
        processes = [process for process in processes if process_identity.start_stamp(process.pid) is not None]
    return processes
