"""Restart with the settings of the running instance, after everything that can be checked was checked."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import TYPE_CHECKING

from lumen_proxy import config
from lumen_proxy.control import start_stop
from lumen_proxy.control.instances import find, refuse_port_0, uptime_s
from lumen_proxy.control.start_check import check_startable
from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.known_issues import on_port
from lumen_proxy.masking import without_query
from lumen_proxy.supervisor import listener, restart_record, state
from lumen_proxy.supervisor.recorded_settings import Recorded, inherit
from lumen_proxy.supervisor.serve import CHECKUP_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from lumen_proxy.supervisor.lock_holder import Holder
    from lumen_proxy.supervisor.state import State

WRITTEN_S = 5.0  # from the start of a supervisor to its first state file; 0.3 s where nothing else is busy
SANDBOX_KEPT = "sandbox mode is kept; to leave it: lumen-proxy restart --no-sandbox"


def restart(
    options: Mapping[str, str],
    *,
    sandbox: bool | None,
    tell: Callable[[str], None],
    show: Callable[[str], None],
    environ: Mapping[str, str] = os.environ,
) -> start_stop.Outcome:
    """Stop the instance and start it again with the settings that it was started with; `options` override them.

    Nothing is stopped before the new settings are known to be usable. Raises Fatal where they are not. `tell` gets
    what deserves attention, `show` what was done.
    """
    asked = config.load(environ, options)
    refuse_port_0(asked)
    with restart_record.turn(asked.state_dir, asked.port, tell):
        known = last_known(asked)
        settings, environ = _settings(asked, known, options, sandbox, environ)
        for warning in (*settings.warnings, *_not_recorded(known)):
            tell(warning)
        if known and known.sandbox and settings.sandboxed and sandbox is None:
            tell(on_port(SANDBOX_KEPT, settings))
        _refuse_unusable(settings, known, environ)
        stopped = _stop(settings, known)
        if stopped.exit_status is Exit.PORT_IN_USE:
            return stopped
        for line in _changes(known, settings, environ):
            tell(line)
        if stopped.did != "not_running":
            show(stopped.said or stopped.did)
        started = _start(settings, environ, is_continued=known is not None)
        if stopped.did == "not_running" and started.did == "started":
            whose = "the last proxy on this port" if known else "this shell"
            show(f"was not running; started with the settings of {whose}; {_gateway(settings)}")
        return started


def _changes(known: State | None, settings: config.Settings, environ: Mapping[str, str]) -> Iterator[str]:
    """A line for each setting that the new instance does not share with the old one."""
    for difference in Recorded(known).differences(settings, environ) if known else ():
        yield f"changed: {difference}"
    if known and known.sandbox and not settings.sandboxed:
        yield f"sandbox mode is left; {_gateway(settings)}"


def _gateway(settings: config.Settings) -> str:
    """Where the questions go, for people."""
    where = "embedded (sandbox mode)" if settings.sandboxed else without_query(settings.gateway_url)
    return f"the gateway is {where}"


def _not_recorded(known: State | None) -> Iterator[str]:
    """A note for each address that an older release used and did not record."""
    for name in Recorded(known).not_recorded if known else ():
        yield f"{name} of the running proxy was not recorded by its release; that of this shell is used"


def _stop(settings: config.Settings, known: State | None) -> start_stop.Outcome:
    """Stop the old instance; from here on an interrupted restart can be continued."""
    place = settings.state_dir, settings.port
    if known is None:
        return start_stop.stop(settings)
    was_interrupted = restart_record.is_kept(*place)
    restart_record.keep(*place, known)
    is_refused = True
    try:
        stopped = start_stop.stop(settings)
        is_refused = stopped.exit_status is Exit.PORT_IN_USE
    except KeyboardInterrupt:
        is_refused = False
        raise
    finally:
        if is_refused and not was_interrupted:
            restart_record.forget(*place)
    return stopped


def _start(settings: config.Settings, environ: Mapping[str, str], *, is_continued: bool) -> start_stop.Outcome:
    """Start the new instance, unless a `stop` has come meanwhile."""
    place = settings.state_dir, settings.port
    if is_continued and not restart_record.is_kept(*place):
        problem = f"cannot restart port {settings.port}: the proxy was stopped meanwhile by another command"
        do = on_port("start it with: lumen-proxy start", settings)
        return start_stop.Outcome("failed", Exit.SOFTWARE, settings.port, problems=(f"{problem}; {do}",))
    outcome = start_stop.start(settings, environ)
    if outcome.exit_status is Exit.OK:
        restart_record.forget(*place)
    return outcome


def last_known(asked: config.Settings) -> State | None:
    """The state of the instance that runs, or of the last one if it did not end by a stop.

    Raises Fatal (74) if one runs and its state file is missing: a guess could send requests to another address.
    """
    _, state_path = state.paths(asked.state_dir, asked.port)
    if running := _settled(asked) if asked.port else None:
        if running.known is None:
            problem = f"cannot restart port {asked.port}: the settings of the running proxy are not known"
            do = f"the proxy writes it again within {CHECKUP_S:g} s: try again then, or stop it and start it anew"
            raise Fatal(f"{problem}, because {state_path} is missing or damaged; {do}", Exit.IO)
        return running.known
    last = state.read(state_path) or state.read(state.end_path(asked.state_dir, asked.port))
    return last or restart_record.cut(asked.state_dir, asked.port)


def _settled(asked: config.Settings) -> Holder | None:
    """Our instance, if there is one. One that has just taken the lock gets the time to write its first state file."""
    _, state_path = state.paths(asked.state_dir, asked.port)
    running, until_s = find(asked), None
    while running and running.known is None and (not state_path.exists() or state.read(state_path)):
        until_s = until_s or time.monotonic() + WRITTEN_S - (uptime_s(running.pid, None) or 0.0)
        if time.monotonic() >= until_s:
            break
        threading.Event().wait(start_stop.LOOK_AGAIN_S)
        running = find(asked)
    return running


def _settings(
    asked: config.Settings,
    known: State | None,
    options: Mapping[str, str],
    sandbox: bool | None,  # noqa: FBT001 - None = as before
    environ: Mapping[str, str],
) -> tuple[config.Settings, Mapping[str, str]]:
    if known is None:
        return asked.in_sandbox() if sandbox else asked, environ
    try:
        environ, options = inherit(Recorded(known), environ, options)
    except Fatal as refused:
        raise Fatal(on_port(str(refused), asked), refused.exit_status) from None
    settings = config.load(environ, options)
    return settings.in_sandbox() if (known.sandbox if sandbox is None else sandbox) else settings, environ


def _refuse_unusable(settings: config.Settings, known: State | None, environ: Mapping[str, str]) -> None:
    """Raise Fatal for what the new instance would refuse, while the old one still serves."""
    check_startable(settings, environ)
    with state.writable(settings.log_dir, "LUMEN_LOG_DIR"):
        settings.log_dir.mkdir(parents=True, exist_ok=True)
        probe = settings.log_dir / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
    if known and known.host != settings.host:
        with contextlib.closing(listener.bind(settings.host, 0)):
            pass
