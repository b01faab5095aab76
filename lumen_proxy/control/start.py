"""Start an instance in the background and wait until it is ready."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from dataclasses import asdict, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lumen_proxy import platform, safe_path
from lumen_proxy.config import BY_VARIABLE, SANDBOX, SETTINGS
from lumen_proxy.console import streams
from lumen_proxy.control import restart_record
from lumen_proxy.control.advice import selectors
from lumen_proxy.control.instances import PortStatus, inspect_own, local_time
from lumen_proxy.control.lock_holder import find
from lumen_proxy.control.result import ControlResult
from lumen_proxy.control.running_settings import (
    EMBEDDED,
    RunningSettings,
    SettingDifference,
    restart_command,
    stop_and_start_commands,
)
from lumen_proxy.errors import Exit
from lumen_proxy.supervisor import state
from lumen_proxy.wire import allowed_hosts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lumen_proxy.config import Settings
    from lumen_proxy.supervisor.state import InstanceState

BOOTING_S = 10.0  # for /health of a booting instance: the request waits in the backlog until the worker serves
READY_S = 45.0  # the supervisor kills a worker that is not ready after 30 s
READY = re.compile(r"ready on (\S+) \(pid (\d+), instance (\w+)\)")


def start(settings: Settings, notify: Callable[[str], None] = lambda _: None) -> ControlResult:
    """Start an instance; if a restart of the port is in progress, wait for its end first."""
    place = settings.state_dir, settings.port
    if settings.port:
        restart_record.wait_for_restart(*place, notify)
        if interrupted := restart_record.read_interrupted(*place):
            at = local_time((interrupted.ended or {}).get("at", ""))
            problem = f"port {settings.port}: the restart was interrupted at {at}"
            notify(f"{problem}; this start uses its own settings, not those of the proxy that ran before")
    return start_now(settings)


def start_now(settings: Settings, environ: Mapping[str, str] = os.environ) -> ControlResult:
    """Start an instance, whatever a restart does. An instance that runs with the same settings is also a success."""
    if settings.port and (running := _check_running(settings, environ)):
        return running
    result = launch(settings, environ)
    if result.exit_status is Exit.PORT_IN_USE and settings.port and (running := _check_running(settings, environ)):
        return running  # another start was faster
    return result


def _check_running(settings: Settings, environ: Mapping[str, str]) -> ControlResult | None:
    """The result if an instance runs on the port; None if none does."""
    status = inspect_own(settings, BOOTING_S)
    if status is not None and status.owner:
        problem = (
            f"cannot start on port {status.port}: it is held by a lumen-proxy of {status.owner}; nothing was changed"
        )
        return _refuse(status, f"{problem}; ask that user to stop it, or choose another --port")
    if status is not None and status.condition == "silent":
        return _refuse_silent(status, settings)
    if status is None or status.condition != "running":
        return None
    running = f"already running on {status.url} (pid {status.pid}, instance {status.instance})"
    holder = find(settings)
    if holder is None or holder.state is None:
        problem = f"{running}, but its state file is missing, so its settings are not known; nothing was changed"
        return _refuse(status, f"{problem}; to use the settings of this shell: {stop_and_start_commands(settings)}")
    differences = _differences(holder.state, settings, environ)
    if not differences:
        said = f"{streams.PREFIX}{running}" + (" in sandbox mode" if status.sandbox else "")
        return ControlResult("already_running", Exit.OK, status.port, said, status.pid, status.instance, status.url)
    problem = f"{running} with other settings: {', '.join(map(str, differences))}; nothing was changed"
    result = _refuse(status, f"{problem}; to use the new values: {restart_command(differences, settings)}")
    return replace(result, differences=tuple(asdict(difference) for difference in differences))


def _refuse_silent(status: PortStatus, settings: Settings) -> ControlResult:
    pid = f" (pid {status.pid})" if status.pid else ""
    is_known = status.gateway is not None  # a restart needs the settings of the instance
    advice = f"lumen-proxy restart{selectors(settings)}" if is_known else stop_and_start_commands(settings)
    problem = f"cannot start on port {status.port}: the lumen-proxy on this port{pid} does not answer"
    return _refuse(status, f"{problem}; {advice}")


def _refuse(status: PortStatus, problem: str) -> ControlResult:
    """Nothing was changed, because an instance runs."""
    port = status.port
    return ControlResult(
        "refused", Exit.PORT_IN_USE, port, None, status.pid, status.instance, status.url, problems=(problem,)
    )


def _differences(known: InstanceState, settings: Settings, environ: Mapping[str, str]) -> list[SettingDifference]:
    """The requested settings that the running proxy does not use.

    Sandbox mode that was not requested counts only if an address was: the sandbox would not use it.
    """
    differences = list(RunningSettings(known).differences(settings, environ))
    needs_addresses = settings.sandboxed or any(difference.variable in EMBEDDED for difference in differences)
    return [difference for difference in differences if needs_addresses or difference.variable != SANDBOX]


def launch(settings: Settings, environ: Mapping[str, str], *options: str, keep: Sequence[int] = ()) -> ControlResult:
    """Start an instance and wait for its ready line; if it exits before, return its status and its last output.

    `options` are those of `serve` that no user gives, `keep` are the descriptors that it inherits.
    """
    log_path = streams.log_path(settings.log_dir, settings.port)
    with state.require_writable(settings.log_dir, "LUMEN_LOG_DIR"):
        settings.log_dir.mkdir(parents=True, exist_ok=True)
        log = log_path.open("ab")
    with log:
        log_start = log.tell()  # earlier instances also wrote to this file
        process = subprocess.Popen(
            [*safe_path.command("lumen_proxy"), "serve", *_options(settings), *options],
            env=_environ(settings, environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            **platform.detached_options(inherited=keep),
        )
    timer = threading.Timer(READY_S, process.kill)
    try:
        timer.start()  # within the block: after a Ctrl-C it would delay the exit, and kill the new proxy
        ready = next((line for line in process.stdout or () if b": ready on " in line), None)
    finally:
        timer.cancel()
        if process.stdout:
            process.stdout.close()
    if ready:
        note = allowed_hosts.summary(settings.host, settings.allowed_hosts, settings.allowed_origins)
        return replace(_started(ready.decode("ascii", "replace").rstrip(), settings.port), note=note)
    return _failed(process, log_path.read_bytes()[log_start:].decode("utf-8", "replace"), settings.port)


def _started(ready_line: str, port: int) -> ControlResult:
    match = READY.search(ready_line)
    if not match:
        return ControlResult("started", Exit.OK, port, ready_line)
    url, pid, instance = match.groups()
    return ControlResult("started", Exit.OK, urlsplit(url).port or port, ready_line, int(pid), instance, url)


def _failed(process: subprocess.Popen[bytes], output: str, port: int) -> ControlResult:
    """The instance ended before it was ready. Status 0 means that it was stopped."""
    status = process.wait()
    lines = [line.strip().removeprefix(streams.PREFIX) for line in output.split("\n")]
    if status == Exit.OK:
        lines.append(f"port {port}: the new proxy (pid {process.pid}) was stopped before it was ready; try again")
    elif status < 0:
        lines.append(f"port {port}: the new proxy (pid {process.pid}) was killed by signal {-status}; try again")
    exit_status = Exit(status) if status and status in set(Exit) else Exit.SOFTWARE
    return ControlResult("failed", exit_status, port, problems=tuple(filter(None, lines)))


def _options(settings: Settings) -> list[str]:
    """Options of the background process. Its settings are in its environment, which other users cannot read."""
    given = [field for field, origin in settings.origins.items() if origin == "option"]
    return [f"--detached={','.join(given)}", *["--sandbox"] * settings.sandboxed]


def _environ(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of this shell, with the settings that are not defaults as variables."""
    others = {name: value for name, value in environ.items() if name not in BY_VARIABLE}
    chosen = {setting.variable for setting in SETTINGS if settings.origins.get(setting.field) != "default"}
    return others | {variable: text for variable, text in settings.environ().items() if variable in chosen}
