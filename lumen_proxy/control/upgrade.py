"""An upgrade: a new instance takes the port over while the old one serves.

The new one gets the listening sockets and the lock from the old one (see `supervisor.offer`). No connection is refused,
and if the new one does not become ready, the old one keeps serving.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lumen_proxy import platform
from lumen_proxy.control.instances import DRAIN_PHASES
from lumen_proxy.control.start import launch
from lumen_proxy.control.stop import MARGIN_S, kill_all, list_processes, wait_for_end
from lumen_proxy.errors import Exit
from lumen_proxy.supervisor import handover_socket, state

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import psutil

    from lumen_proxy.config import Settings
    from lumen_proxy.control.result import ControlResult
    from lumen_proxy.supervisor.state import InstanceState

SILENT_S = 0.5  # the old proxy ends within 0.2 s if it has no requests; a longer wait is announced


def why_impossible(settings: Settings, known: InstanceState) -> str | None:
    """The reason why the running instance cannot hand its port over; None if it can."""
    if known.host != settings.host:
        return f"the host changes from {known.host} to {settings.host}"
    if not platform.can_pass_descriptors():
        return "this system cannot pass sockets to another process"
    if not handover_socket.is_offered(handover_socket.socket_path(settings.state_dir, settings.port), known.instance):
        return "the running proxy does not offer it"
    return None


def upgrade(  # noqa: PLR0913 - half of them by name only
    settings: Settings,
    environ: Mapping[str, str],
    known: InstanceState,
    *,
    restart_lock: int,
    notify: Callable[[str], None],
    show: Callable[[str], None],
) -> ControlResult:
    """Start the new instance on the port of the old one, then wait until the old one has ended.

    The old one finishes its requests within its drain deadline; the new one serves meanwhile. The new one gets the lock
    of restarts, so that `stop` and another `restart` wait until it serves, even if this process is killed.
    """
    processes, place = _list_old(known), f"port {settings.port}"
    started = launch(settings, environ, f"--take-over={restart_lock}", keep=(restart_lock,))
    if started.exit_status is not Exit.OK:
        return replace(started, problems=(*started.problems, *_describe_old(settings, known, place)))
    show(started.said or started.did)
    remaining = wait_for_end(processes, SILENT_S)
    if remaining:
        notify(f"{place}: the old proxy (pid {known.pid}) finishes its requests, within {known.drain_s:g} s")
        remaining = kill_all(wait_for_end(remaining, known.drain_s + MARGIN_S))
    ended = "was killed after its drain deadline" if remaining else "has ended"
    return replace(started, said=f"handed over: {place}; the old proxy (pid {known.pid}) {ended}")


def _list_old(known: InstanceState) -> list[psutil.Process]:
    """The processes of the old instance; none if another command has ended it meanwhile."""
    import psutil  # noqa: PLC0415

    try:
        return list_processes(known.pid)
    except psutil.NoSuchProcess:
        return []


def _describe_old(settings: Settings, known: InstanceState, place: str) -> tuple[str, ...]:
    """What the old instance does after the new one has failed; nothing if another command stops it."""
    now = state.read(state.state_path(settings.state_dir, settings.port))
    if not state.is_alive(known) or (now and now.phase in DRAIN_PHASES):
        return ()
    return (f"{place}: the old proxy (pid {known.pid}, instance {known.instance}) keeps serving",)
