"""Which addresses count: those of this command, unless the running proxy plays in its sandbox."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lumen_proxy.ops.asking import shown
from lumen_proxy.ops.cases import on_port
from lumen_proxy.supervisor import state
from lumen_proxy.values import NONE

if TYPE_CHECKING:
    from lumen_proxy.config import Settings

EMBEDDED = "the running proxy plays in its sandbox: Cloud AI and gateway are embedded, no network is used"
NO_SANDBOX = "the running proxy does not play in its sandbox; to make it: lumen-proxy restart --sandbox"


def in_use(settings: Settings) -> tuple[Settings, tuple[str, ...]]:
    """The settings to probe with, and what is worth a note. Its state file tells what a running proxy was started with.

    A sandbox that is wanted but does not run has no addresses: nobody else is asked instead.
    """
    begun = state.holder(settings.state_dir, settings.port)
    if begun and begun.sandbox:
        asked = replace(settings.in_sandbox(), gateway_url=begun.gateway_url, cloud_ai_url=begun.cloud_ai_url)
        return asked, (EMBEDDED,)
    if settings.sandboxed:
        nobody = replace(settings, gateway_url=NONE, cloud_ai_url=NONE)
        return nobody, ((on_port(NO_SANDBOX, settings),) if begun else ())
    if begun and begun.gateway_url != settings.gateway_url:
        differs = f"the running proxy asks {shown(begun.gateway_url)}, this command asks {shown(settings.gateway_url)}"
        return settings, (f"{differs}; to make them one: {on_port('lumen-proxy restart', settings)}",)
    return settings, ()
