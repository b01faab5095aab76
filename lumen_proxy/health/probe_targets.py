"""Which settings count: those of the running proxy, where one runs, else those of this command."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from lumen_proxy import config
from lumen_proxy.config.parsers import NONE
from lumen_proxy.control import commands
from lumen_proxy.control.instances import find
from lumen_proxy.known_issues import on_port
from lumen_proxy.supervisor.recorded_settings import EMBEDDED, PLACES, Difference, Recorded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lumen_proxy.config import Settings
    from lumen_proxy.supervisor.state import State

SANDBOX = "sandbox mode: the running proxy uses an embedded gateway and Cloud AI, no network is used"
NO_SANDBOX = "the running proxy is not in sandbox mode; to change that: lumen-proxy restart --sandbox"
UNKNOWN = "the settings of the running proxy are not known: its state file is missing; those of this shell are judged"
OWN = PLACES | {"PROXY_API_KEY", "SLACK_WEBHOOK_URL", "LUMEN_WEBHOOK_URL"}
"""What this command uses for itself: to find the proxy, to be let in, and to send its own alerts."""


class InUse(NamedTuple):
    """What to probe with: settings, and the environment that decides how an address is reached; and notes."""

    settings: Settings
    notes: tuple[str, ...]
    environ: Mapping[str, str]


def in_use(settings: Settings, environ: Mapping[str, str] = os.environ) -> InUse:
    """Where a proxy runs, what it was started with; else what this shell has.

    Each setting that this shell sets and the running proxy does not use is a note. A sandbox that is wanted but does
    not run has no addresses: no other address is asked instead.
    """
    found = find(settings) if settings.port else None
    nowhere = replace(settings, gateway_url=NONE, cloud_ai_url=NONE)
    if found is None or found.known is None:
        return InUse(nowhere if settings.sandboxed else settings, (UNKNOWN,) if found else (), environ)
    known = found.known
    recorded = Recorded(known)
    if settings.sandboxed and not known.sandbox:
        return InUse(nowhere, (on_port(NO_SANDBOX, settings),), environ)
    notes = tuple(_notes(settings, recorded, environ))
    asked = _as_running(settings, known, recorded)
    return InUse(asked, (SANDBOX, *notes) if known.sandbox else notes, recorded.network(environ))


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


def _notes(settings: Settings, recorded: Recorded, environ: Mapping[str, str]) -> Iterator[str]:
    for difference in recorded.differences(settings, environ):
        setting = config.BY_VARIABLE.get(difference.variable)
        if difference.variable == config.SANDBOX or (setting and not settings.is_given(setting)):
            continue
        words = _in_words(difference)
        if setting is None and recorded.is_hidden(difference.variable):
            words += ", which is used here because that of the running proxy is not recorded"
        yield f"{words}; to use that of this shell: {_command(difference, settings, recorded)}"


def _command(difference: Difference, settings: Settings, recorded: Recorded) -> str:
    """A restart uses a variable of this shell anyway, unless the proxy was started with the option."""
    setting = config.BY_VARIABLE.get(difference.variable)
    is_option = setting and "option" in {settings.origins.get(setting.field), recorded.origin(difference.variable)}
    if recorded.is_sandbox and difference.variable in EMBEDDED:
        return commands.restart([Difference(config.SANDBOX, "on", "off", "--no-sandbox"), difference], settings)
    if is_option:
        return commands.restart([difference], settings)
    if difference.asked == commands.UNSET:
        return commands.anew(settings)
    return on_port("lumen-proxy restart", settings)


def _in_words(difference: Difference) -> str:
    if difference.running == difference.asked:
        return f"{difference.variable} of the running proxy is not the one of this shell"
    return f"{difference.variable}: the running proxy uses {difference.running}, this shell has {difference.asked}"
