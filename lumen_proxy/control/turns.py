"""Start and stop as a person asks for them: with regard to a restart that is in progress or was interrupted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lumen_proxy.control import start_stop
from lumen_proxy.control.instances import clock, refuse_port_0
from lumen_proxy.errors import Exit
from lumen_proxy.supervisor import restart_record

if TYPE_CHECKING:
    from collections.abc import Callable

    from lumen_proxy.config import Settings


def _nobody(_: str) -> None:
    """For a screen that has no place for words."""


def start(settings: Settings, tell: Callable[[str], None] = _nobody) -> start_stop.Outcome:
    """Start an instance, after the restart of that port if one is in progress."""
    if settings.port:
        restart_record.wait(settings.state_dir, settings.port, tell)
        if cut := restart_record.interrupted(settings.state_dir, settings.port):
            at = clock((cut.ended or {}).get("at", ""))
            problem = f"port {settings.port}: the restart was interrupted at {at}"
            tell(f"{problem}; this start uses its own settings, not those of the proxy that ran before")
    return start_stop.start(settings)


def stop(settings: Settings, tell: Callable[[str], None] = _nobody) -> start_stop.Outcome:
    """Stop the instance; a restart in progress starts none, or what it has started is stopped, too."""
    refuse_port_0(settings)
    place = settings.state_dir, settings.port
    if restart_record.interrupted(*place) is None:
        restart_record.forget(*place)  # a restart in progress sees it
    outcome = start_stop.stop(settings)
    if restart_record.wait(*place, tell):
        again = start_stop.stop(settings)
        outcome = outcome if again.did == "not_running" else again
    if outcome.exit_status is not Exit.PORT_IN_USE:
        restart_record.forget(*place)
    return outcome
