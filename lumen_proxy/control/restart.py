"""Restart an instance with its own settings. All settings are checked before the old instance ends."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lumen_proxy import config
from lumen_proxy.control import restart_record
from lumen_proxy.control.advice import on_port
from lumen_proxy.control.instances import require_port, uptime_s
from lumen_proxy.control.lock_holder import LockHolder, find
from lumen_proxy.control.result import ControlResult
from lumen_proxy.control.running_settings import RunningSettings, merge_for_restart
from lumen_proxy.control.start import start_now
from lumen_proxy.control.start_check import check_startable
from lumen_proxy.control.stop import stop_now
from lumen_proxy.control.upgrade import upgrade, why_impossible
from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.masking import without_query
from lumen_proxy.supervisor import listener, process_identity, state
from lumen_proxy.supervisor.event_sources import CHECKUP_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from lumen_proxy.supervisor.state import InstanceState

WRITTEN_S = 5.0  # from the start of a supervisor to its first state file; 0.3 s on an idle machine
POLL_S = 0.05
SANDBOX_KEPT = "sandbox mode is kept; to leave it: lumen-proxy restart --no-sandbox"


def restart(
    options: Mapping[str, str],
    *,
    sandbox: bool | None,
    notify: Callable[[str], None],
    show: Callable[[str], None],
    environ: Mapping[str, str] = os.environ,
) -> ControlResult:
    """Replace the instance by a new one with the settings that it was started with; `options` override them.

    The old one hands its port over, or is stopped first where that is impossible. Raises Fatal, and stops nothing, if
    the new settings cannot be used. `notify` prints warnings, `show` prints what was done.
    """
    asked = config.load(environ, options)
    require_port(asked)
    with restart_record.exclusive(asked.state_dir, asked.port, notify) as lock:
        known = find_last_state(asked)
        settings, environ = _merge_settings(asked, known, options, sandbox, environ)
        for warning in (*settings.warnings, *_describe_not_recorded(known)):
            notify(warning)
        if known and known.sandbox and settings.sandboxed and sandbox is None:
            notify(on_port(SANDBOX_KEPT, settings))
        _refuse_unusable(settings, known, environ)
        plan = _Plan(settings, environ, known, tuple(_describe_changes(known, settings, environ)))
        running = _find_running(asked)
        if running is None or (reason := why_impossible(settings, running)):
            if running is not None:
                notify(f"port {settings.port} is closed for a moment: {reason}, so the old proxy is stopped first")
            return _stop_and_start(plan, notify, show)
        for line in plan.changes:
            notify(line)
        return upgrade(settings, environ, running, restart_lock=lock.fileno(), notify=notify, show=show)


@dataclass(frozen=True)
class _Plan:
    """The settings of the new instance, the state of the old one if there was one, and a line for each difference."""

    settings: config.Settings
    environ: Mapping[str, str]
    known: InstanceState | None
    changes: tuple[str, ...]


def _find_running(asked: config.Settings) -> InstanceState | None:
    """The instance that runs on the port, if it is certain which process it is and that it is one of this user."""
    holder = find(asked)
    is_own = holder is not None and holder.is_verified and process_identity.is_own(holder.pid or 0)
    return holder.state if holder is not None and is_own else None


def _stop_and_start(plan: _Plan, notify: Callable[[str], None], show: Callable[[str], None]) -> ControlResult:
    stopped = _stop(plan.settings, plan.known)
    if stopped.exit_status is Exit.PORT_IN_USE:
        return stopped
    for line in plan.changes:
        notify(line)
    if stopped.did != "not_running":
        show(stopped.said or stopped.did)
    started = _start(plan.settings, plan.environ, is_continued=plan.known is not None)
    if stopped.did == "not_running" and started.did == "started":
        source = "the last proxy on this port" if plan.known else "this shell"
        show(f"was not running; started with the settings of {source}; {_describe_gateway(plan.settings)}")
    return started


def _describe_changes(
    known: InstanceState | None, settings: config.Settings, environ: Mapping[str, str]
) -> Iterator[str]:
    """A line for each setting that differs between the old and the new instance."""
    for difference in RunningSettings(known).differences(settings, environ) if known else ():
        yield f"changed: {difference}"
    if known and known.sandbox and not settings.sandboxed:
        yield f"sandbox mode is left; {_describe_gateway(settings)}"


def _describe_gateway(settings: config.Settings) -> str:
    where = "embedded (sandbox mode)" if settings.sandboxed else without_query(settings.gateway_url)
    return f"the gateway is {where}"


def _describe_not_recorded(known: InstanceState | None) -> Iterator[str]:
    """A line for each address that an older release uses and does not record."""
    for name in RunningSettings(known).not_recorded if known else ():
        yield f"{name} of the running proxy was not recorded by its release; the value of this shell is used"


def _stop(settings: config.Settings, known: InstanceState | None) -> ControlResult:
    """Stop the old instance; from now on an interrupted restart can be continued."""
    place = settings.state_dir, settings.port
    if known is None:
        return stop_now(settings)
    was_interrupted = restart_record.exists(*place)
    restart_record.write(*place, known)
    is_refused = True
    try:
        stopped = stop_now(settings)
        is_refused = stopped.exit_status is Exit.PORT_IN_USE
    except KeyboardInterrupt:
        is_refused = False
        raise
    finally:
        if is_refused and not was_interrupted:
            restart_record.remove(*place)
    return stopped


def _start(settings: config.Settings, environ: Mapping[str, str], *, is_continued: bool) -> ControlResult:
    """Start the new instance, unless `stop` has cancelled the restart."""
    place = settings.state_dir, settings.port
    if is_continued and not restart_record.exists(*place):
        problem = f"cannot restart port {settings.port}: another command has stopped the proxy"
        advice = on_port("start it with: lumen-proxy start", settings)
        return ControlResult("failed", Exit.SOFTWARE, settings.port, problems=(f"{problem}; {advice}",))
    result = start_now(settings, environ)
    if result.exit_status is Exit.OK:
        restart_record.remove(*place)
    return result


def find_last_state(asked: config.Settings) -> InstanceState | None:
    """The state of the running instance, or of the last one if it was not ended by `stop`.

    Raises Fatal (74) if an instance runs and its state file is missing: with other settings the new instance could send
    requests to another address.
    """
    place = asked.state_dir, asked.port
    state_path = state.state_path(*place)
    if running := _wait_for_state(asked) if asked.port else None:
        if running.state is None:
            problem = f"cannot restart port {asked.port}: the settings of the running proxy are not known"
            advice = f"the proxy writes it again within {CHECKUP_S:g} s: try again then, or stop it and start it anew"
            raise Fatal(f"{problem}, because {state_path} is missing or damaged; {advice}", Exit.IO)
        return running.state
    return state.read(state_path) or state.read(state.end_path(*place)) or restart_record.read(*place)


def _wait_for_state(asked: config.Settings) -> LockHolder | None:
    """The instance, if there is one. A new instance gets the time to write its first state file."""
    state_path = state.state_path(asked.state_dir, asked.port)
    running, until_s = find(asked), None
    while running and running.state is None and (not state_path.exists() or state.read(state_path)):
        until_s = until_s or time.monotonic() + WRITTEN_S - (uptime_s(running.pid, None) or 0.0)
        if time.monotonic() >= until_s:
            break
        threading.Event().wait(POLL_S)
        running = find(asked)
    return running


def _merge_settings(
    asked: config.Settings,
    known: InstanceState | None,
    options: Mapping[str, str],
    sandbox: bool | None,  # noqa: FBT001 - None = as before
    environ: Mapping[str, str],
) -> tuple[config.Settings, Mapping[str, str]]:
    if known is None:
        return asked.in_sandbox() if sandbox else asked, environ
    running = RunningSettings(known)
    try:
        environ, options = merge_for_restart(running, environ, options)
    except Fatal as error:
        raise Fatal(on_port(str(error), asked), error.exit_status) from None
    settings = config.load(environ, options)
    return settings.in_sandbox() if (known.sandbox if sandbox is None else sandbox) else settings, environ


def _refuse_unusable(settings: config.Settings, known: InstanceState | None, environ: Mapping[str, str]) -> None:
    """Raise Fatal if the new instance could not start, while the old one still serves."""
    check_startable(settings, environ)
    with state.require_writable(settings.log_dir, "LUMEN_LOG_DIR"):
        settings.log_dir.mkdir(parents=True, exist_ok=True)
        probe = settings.log_dir / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
    if known and known.host != settings.host:
        with contextlib.closing(listener.bind(settings.host, 0)):
            pass
