"""Which settings count: those of the running proxy, where one runs, else those of this command."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

from lumen_proxy import config
from lumen_proxy.ops.cases import on_port
from lumen_proxy.ops.instances import find
from lumen_proxy.supervisor.recorded import EMBEDDED, PLACES, Difference, Recorded
from lumen_proxy.values import NONE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lumen_proxy.config import Settings
    from lumen_proxy.supervisor.state import State

SANDBOX = "sandbox mode: the running proxy uses an embedded gateway and Cloud AI, no network is used"
NO_SANDBOX = "the running proxy is not in sandbox mode; to change that: lumen-proxy restart --sandbox"
UNKNOWN = "the settings of the running proxy are not known: its state file is missing; those of this shell are judged"
OWN = PLACES | {"PROXY_API_KEY", "SLACK_WEBHOOK_URL", "LUMEN_WEBHOOK_URL"}
"""What this command uses for itself: to find the proxy, to be let in, and to send its own alerts."""


def in_use(settings: Settings) -> tuple[Settings, tuple[str, ...]]:
    """The settings to probe with, and notes. Where a proxy runs they are those that it was started with.

    Each setting that this shell sets and the running proxy does not use is a note. A sandbox that is wanted but does
    not run has no addresses: no other address is asked instead.
    """
    found = find(settings) if settings.port else None
    if found is None or found.known is None:
        notes = (UNKNOWN,) if found else ()
        return (replace(settings, gateway_url=NONE, cloud_ai_url=NONE) if settings.sandboxed else settings), notes
    known = found.known
    recorded = Recorded(known)
    asked = _as_running(settings, known, recorded)
    if known.sandbox:
        return asked, (SANDBOX, *_notes(settings, recorded))
    if settings.sandboxed:
        return replace(settings, gateway_url=NONE, cloud_ai_url=NONE), (on_port(NO_SANDBOX, settings),)
    return asked, tuple(_notes(settings, recorded))


def _as_running(settings: Settings, known: State, recorded: Recorded) -> Settings:
    """The settings of the running proxy, as far as they are recorded; a secret only if this shell has the same one."""
    changed = {}
    given = settings.environ()
    for variable, setting in config.BY_VARIABLE.items():
        is_own = variable in OWN or (known.sandbox and variable in EMBEDDED)
        if is_own or variable not in recorded or recorded.is_same(variable, given.get(variable)):
            continue
        value = recorded.value(variable)
        with contextlib.suppress(ValueError):  # of another release
            changed[setting.field] = setting.parse(value) if value else setting.default
    asked = replace(settings, **changed)
    if known.sandbox:
        return replace(asked.in_sandbox(), gateway_url=known.gateway_url, cloud_ai_url=known.cloud_ai_url)
    return asked


def _notes(settings: Settings, recorded: Recorded) -> Iterator[str]:
    for difference in recorded.differences(settings):
        setting = config.BY_VARIABLE.get(difference.variable)
        origin = settings.origins.get(setting.field) if setting else None
        if setting and origin in {"environment", "option"}:
            is_option = "option" in {origin, recorded.origin(setting.variable)} and not setting.secret
            option = f" --{setting.field.replace('_', '-')} {difference.asked}" if is_option else ""
            restart = on_port(f"lumen-proxy restart{option}", settings)
            yield f"{_in_words(difference)}; to use that of this shell: {restart}"


def _in_words(difference: Difference) -> str:
    if difference.running == difference.asked:
        return f"{difference.variable} of the running proxy is not the one of this shell"
    return f"{difference.variable}: the running proxy uses {difference.running}, this shell has {difference.asked}"
