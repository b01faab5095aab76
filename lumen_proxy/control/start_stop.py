"""Start and stop the instance on a port, from outside of it.

A process is signalled only if it holds the lock of the port and started when the state file says, or if the operating
system itself names it as the holder of the lock: a PID alone may belong to a stranger. Whatever else holds the port
is named and not signalled.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import threading
import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from lumen_proxy import platform, safe_path
from lumen_proxy.config import BY_VARIABLE, SANDBOX, SETTINGS
from lumen_proxy.console import streams
from lumen_proxy.control import commands, health_request
from lumen_proxy.control.instances import (
    LOOK_S,
    find,
    hosts,
    look,
    look_at_ours,
    refuse_port_0,
)
from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.known_issues import selectors
from lumen_proxy.supervisor import listener, process_identity, state
from lumen_proxy.supervisor.recorded_settings import EMBEDDED, Recorded
from lumen_proxy.wire import allowed_hosts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import psutil

    from lumen_proxy.config import Settings
    from lumen_proxy.control.instances import Seen
    from lumen_proxy.supervisor.lock_holder import Holder
    from lumen_proxy.supervisor.recorded_settings import Difference
    from lumen_proxy.supervisor.state import State

BOOTING_S = 10.0  # the backlog holds the question until the worker is up
START_S = 45.0  # the supervisor itself ends a worker that is not ready after 30 s
STOP_MARGIN_S = 10.0  # on top of the drain: the supervisor's own grace and a slow machine
KILL_S = 5.0
LOOK_AGAIN_S = 0.05  # how soon a zombie is noticed; an orderly end is noticed at once
READY = re.compile(r"ready on (\S+) \(pid (\d+), instance (\w+)\)")


@dataclass(frozen=True)
class Outcome:
    """What a command did. `said` is its line for standard output; `problems` and `note` are for standard error.

    `refused`: nothing was changed, because the port is not ours, or because an instance runs with other settings.
    """

    did: Literal["started", "already_running", "stopped", "not_running", "killed", "failed", "refused"]
    exit_status: Exit
    port: int
    said: str | None = None
    pid: int | None = None
    instance: str | None = None
    url: str | None = None
    problems: tuple[str, ...] = ()
    note: str | None = None
    differences: tuple[dict[str, str], ...] = ()


def start(settings: Settings, environ: Mapping[str, str] = os.environ) -> Outcome:
    """Start an instance that outlives us and wait until it is ready; one that runs with these settings is as good."""
    if settings.port and (running := _running(settings, environ)):
        return running
    outcome = _launch(settings, environ)
    if outcome.exit_status is Exit.PORT_IN_USE and settings.port and (running := _running(settings, environ)):
        return running  # another start won the race
    return outcome


def _running(settings: Settings, environ: Mapping[str, str]) -> Outcome | None:
    seen = look_at_ours(settings, BOOTING_S)
    if seen is not None and seen.condition == "silent":
        return _silent(seen, settings)
    if seen is None or seen.condition != "running":
        return None
    who = f"already running on {seen.url} (pid {seen.pid}, instance {seen.instance})"
    found = find(settings)
    if found is None or found.known is None:
        problem = f"{who}, but its settings are not known, because its state file is lost"
        return _refused_beside(
            seen, f"{problem}; nothing was changed; to use those of this shell: {commands.anew(settings)}"
        )
    differences = _differences(found.known, settings, environ)
    if not differences:
        said = f"{streams.PREFIX}{who}" + (" in sandbox mode" if seen.sandbox else "")
        return Outcome("already_running", Exit.OK, seen.port, said, seen.pid, seen.instance, seen.url)
    problem = f"{who} with other settings: {', '.join(map(str, differences))}; nothing was changed"
    do = commands.restart(differences, settings)
    outcome = _refused_beside(seen, f"{problem}; to use the new values: {do}")
    return replace(outcome, differences=tuple(asdict(difference) for difference in differences))


def _silent(seen: Seen, settings: Settings) -> Outcome:
    who = f"the lumen-proxy on this port (pid {seen.pid})" if seen.pid else "the lumen-proxy on this port"
    do = commands.again(seen, settings)
    return _refused_beside(seen, f"cannot start on port {seen.port}: {who} does not answer; {do}")


def _refused_beside(seen: Seen, problem: str) -> Outcome:
    """Nothing was changed, for an instance of ours runs."""
    return Outcome("refused", Exit.PORT_IN_USE, seen.port, None, seen.pid, seen.instance, seen.url, problems=(problem,))


def _differences(known: State, settings: Settings, environ: Mapping[str, str]) -> list[Difference]:
    """What a start asks for and the running proxy does not use. A sandbox that is not asked for may be one."""
    found = list(Recorded(known).differences(settings, environ))
    leaves = any(difference.variable in EMBEDDED for difference in found)  # only without the sandbox they are used
    return [difference for difference in found if settings.sandboxed or leaves or difference.variable != SANDBOX]


def stop(settings: Settings) -> Outcome:
    """Stop the instance and wait until it is gone; none is as good, but whatever else holds the port is named (75)."""
    refuse_port_0(settings)
    lock_path, _ = state.paths(settings.state_dir, settings.port)
    if state.is_locked(lock_path) is None:
        problem = f"not permitted to look at {lock_path}: it is another user's"
        raise Fatal(f"{problem}; ask that user, or set LUMEN_STATE_DIR to your own", Exit.NO_PERMISSION)
    found = find(settings)
    if found is None:
        return _nothing_to_stop(settings)
    if found.pid is None or not found.is_verified:
        raise _unverified(found, settings, lock_path)
    if not process_identity.is_own(found.pid):
        who = f"user {process_identity.user_name(found.pid)}"
        return _refused(settings, f"a lumen-proxy of {who} (pid {found.pid})", f"ask {who} to stop it")
    return _end(found.pid, process_identity.start_stamp(found.pid), found.known, settings)


def _nothing_to_stop(settings: Settings) -> Outcome:
    seen = look(settings)
    if seen.condition == "another":
        do = f"run lumen-proxy stop{selectors(settings)} as the user who started it, with the same LUMEN_STATE_DIR"
        return _refused(settings, f"another lumen-proxy: {seen.owner}", do)
    if seen.condition == "stranger":
        return _refused(settings, f"{seen.owner}", "stop that program itself, or choose another --port")
    said = f"not running on port {settings.port}" + (f": {seen.last_failure}" if seen.last_failure else "")
    return Outcome("not_running", Exit.OK, settings.port, said)


def _refused(settings: Settings, holder: str, do: str) -> Outcome:
    problem = f"port {settings.port} is held by {holder}; it is not this proxy, so nothing was stopped; {do}"
    return Outcome("refused", Exit.PORT_IN_USE, settings.port, problems=(problem,))


def _unverified(found: Holder, settings: Settings, lock_path: Path) -> Fatal:
    """The lock is held, but the operating system does not show by which process: say what is known."""
    problem = f"cannot stop port {settings.port}: a lumen-proxy holds {lock_path}"
    if found.pid is None:
        return Fatal(f"{problem}, but its PID is not known; end that process yourself", Exit.IO)
    who = f"pid {found.pid}, user {process_identity.user_name(found.pid) or 'not visible'}"
    problem = f"{problem}, probably {who}, but this user cannot see when that process started"
    return Fatal(f"{problem}; stop it as its own user", Exit.NO_PERMISSION)


def _launch(settings: Settings, environ: Mapping[str, str]) -> Outcome:
    """Start an instance and wait for its ready line; if it ends instead, return its status and its last words."""
    words = streams.log_of(settings.log_dir, settings.port)
    with state.writable(settings.log_dir, "LUMEN_LOG_DIR"):
        settings.log_dir.mkdir(parents=True, exist_ok=True)
        errors = words.open("ab")
    with errors:
        said_before = errors.tell()  # by an instance that is gone, or that still runs but is silent
        process = subprocess.Popen(
            [*safe_path.command("lumen_proxy"), "serve", *_options(settings)],
            env=_environ(settings, environ),
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
        note = allowed_hosts.summary(settings.host, settings.allowed_hosts, settings.allowed_origins)
        return replace(_started(ready.decode("ascii", "replace").rstrip(), settings.port), note=note)
    return _failed(process, words.read_bytes()[said_before:].decode("utf-8", "replace"), settings.port)


def _failed(process: subprocess.Popen[bytes], said: str, port: int) -> Outcome:
    """The instance ended before it was ready. Status 0 is that of a stop."""
    status = process.wait()
    lines = [line.strip().removeprefix(streams.PREFIX) for line in said.split("\n")]
    if status == Exit.OK:
        lines.append(f"port {port}: the new proxy (pid {process.pid}) was stopped before it was ready; start it again")
    elif status < 0:
        lines.append(f"port {port}: the new proxy (pid {process.pid}) was killed by signal {-status}; start it again")
    exit_status = Exit(status) if status and status in set(Exit) else Exit.SOFTWARE
    return Outcome("failed", exit_status, port, problems=tuple(filter(None, lines)))


def _options(settings: Settings) -> list[str]:
    """Options of the background process. Its settings are in its environment, which other users cannot read."""
    given = [field for field, origin in settings.origins.items() if origin == "option"]
    return [f"--detached={','.join(given)}", *["--sandbox"] * settings.sandboxed]


def _environ(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of this shell, with the settings that are not defaults as variables."""
    others = {name: value for name, value in environ.items() if name not in BY_VARIABLE}
    chosen = {setting.variable for setting in SETTINGS if settings.origins.get(setting.field) != "default"}
    return others | {variable: text for variable, text in settings.environ().items() if variable in chosen}


def _started(ready_line: str, port: int) -> Outcome:
    found = READY.search(ready_line)
    if not found:
        return Outcome("started", Exit.OK, port, ready_line)
    url, pid, instance = found.groups()
    return Outcome("started", Exit.OK, urlsplit(url).port or port, ready_line, int(pid), instance, url)


def _end(pid: int, stamp: float | None, known: State | None, settings: Settings) -> Outcome:
    import psutil  # noqa: PLC0415

    url, instance, drain_s = listener.url_of(hosts(settings)[0], settings.port), None, settings.drain_s
    if known:
        url, instance, drain_s = known.url, known.instance, known.drain_s
    named = instance or str(health_request.ask(url, LOOK_S).get("instance"))
    try:
        supervisor = psutil.Process(pid)
        family = [supervisor, *supervisor.children(recursive=True)]
        if stamp is None or not process_identity.is_same_start(stamp, process_identity.start_stamp(pid)):
            raise ProcessLookupError  # noqa: TRY301 - the PID is another process's by now
        platform.ask_to_stop(pid, named)
    except (psutil.NoSuchProcess, ProcessLookupError):
        family = []  # it went by itself
    except PermissionError:
        problem = f"not permitted to stop the proxy on port {settings.port} (pid {pid})"
        raise Fatal(f"{problem}; ask the user who started it", Exit.NO_PERMISSION) from None
    alive = _outlived(family, drain_s + STOP_MARGIN_S)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    if _outlived(alive, KILL_S):
        raise Fatal(f"the proxy on port {settings.port} (pid {pid}) does not end", Exit.SOFTWARE)
    did: Literal["killed", "stopped"] = "killed" if alive else "stopped"
    status = Exit.SOFTWARE if alive else Exit.OK
    return Outcome(did, status, settings.port, f"{did}: port {settings.port} (pid {pid})", pid, instance, url)


def _outlived(processes: list[psutil.Process], within_s: float) -> list[psutil.Process]:
    """Wait until all are gone; return those that are not. A zombie is gone: its parent may take its time."""
    import psutil  # noqa: PLC0415

    deadline = time.monotonic() + within_s
    while processes and time.monotonic() < deadline:
        _, processes = psutil.wait_procs(processes, timeout=LOOK_AGAIN_S)
        processes = [process for process in processes if process_identity.start_stamp(process.pid) is not None]
    return processes
