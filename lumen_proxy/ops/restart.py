"""Restart with the settings of the running instance, after everything that can be checked was checked."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from lumen_proxy import config
from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.ops import control
from lumen_proxy.ops.instances import find
from lumen_proxy.ops.startable import check_startable
from lumen_proxy.supervisor import listener, state
from lumen_proxy.supervisor.recorded import Recorded, inherit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from lumen_proxy.supervisor.state import State

SANDBOX_KEPT = "sandbox mode is kept; to leave it: lumen-proxy restart --no-sandbox"


def restart(
    options: Mapping[str, str],
    *,
    sandbox: bool | None,
    tell: Callable[[str], None],
    show: Callable[[str], None],
    environ: Mapping[str, str] = os.environ,
) -> control.Outcome:
    """Stop the instance and start it again with the settings that it was started with; `options` override them.

    Nothing is stopped before the new settings are known to be usable. Raises Fatal where they are not. `tell` gets
    what deserves attention, `show` what was done.
    """
    asked = config.load(environ, options)
    known = _last_known(asked)
    settings, environ = _settings(asked, known, options, sandbox, environ)
    for warning in (*settings.warnings, *_not_recorded(known)):
        tell(warning)
    if known and known.sandbox and settings.sandboxed and sandbox is None:
        tell(SANDBOX_KEPT)
    _refuse_unusable(settings, known, environ)
    stopped = control.stop(settings)
    if stopped.exit_status is Exit.PORT_IN_USE:
        return stopped
    for difference in Recorded(known).differences(settings, environ) if known else ():
        tell(f"changed: {difference}")
    if known and known.sandbox and not settings.sandboxed:
        tell(f"sandbox mode is left; the gateway is {settings.gateway_url}")
    if stopped.did != "not_running":
        show(stopped.said or stopped.did)
    started = control.start(settings, environ)
    if stopped.did == "not_running" and started.did == "started":
        whose = "the last proxy on this port" if known else "this shell"
        show(f"was not running; started with the settings of {whose}")
    return started


def _not_recorded(known: State | None) -> Iterator[str]:
    """A note for each address that an older release used and did not record."""
    for name in Recorded(known).not_recorded if known else ():
        yield f"{name} of the running proxy was not recorded by its release; that of this shell is used"


def _last_known(asked: config.Settings) -> State | None:
    """The state of the instance that runs, or of the last one if it did not end by a stop.

    Raises Fatal (74) if one runs and its state file is missing: a guess could send requests to another address.
    """
    _, state_path = state.paths(asked.state_dir, asked.port)
    if running := find(asked) if asked.port else None:
        if running.known is None:
            problem = f"cannot restart port {asked.port}: the settings of the running proxy are not known"
            do = "lumen-proxy stop, then lumen-proxy start with the settings that you want"
            raise Fatal(f"{problem}, because {state_path} is missing or damaged; {do}", Exit.IO)
        return running.known
    return state.read(state_path) or state.read(state.end_path(asked.state_dir, asked.port))


def _settings(
    asked: config.Settings,
    known: State | None,
    options: Mapping[str, str],
    sandbox: bool | None,  # noqa: FBT001 - None = as before
    environ: Mapping[str, str],
) -> tuple[config.Settings, Mapping[str, str]]:
    if known is None:
        return asked.in_sandbox() if sandbox else asked, environ
    environ, options = inherit(Recorded(known), environ, options)
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
