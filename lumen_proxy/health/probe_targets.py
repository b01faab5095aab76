"""Which addresses are probed: those of the running proxy; if none runs, those of this command."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from lumen_proxy import config
from lumen_proxy.config.parsers import NONE
from lumen_proxy.control.advice import on_port
from lumen_proxy.control.lock_holder import find
from lumen_proxy.control.running_settings import (
    EMBEDDED,
    SELECTORS,
    UNSET,
    RunningSettings,
    SettingDifference,
    restart_command,
    stop_and_start_commands,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lumen_proxy.config import Settings
    from lumen_proxy.supervisor.state import InstanceState

SANDBOX = "sandbox mode: the running proxy uses an embedded gateway and Cloud AI, no network is used"
NO_SANDBOX = "the running proxy is not in sandbox mode; to change that: lumen-proxy restart --sandbox"
UNKNOWN = "the settings of the running proxy are not known: its state file is missing; those of this shell are probed"
OWN = SELECTORS | {"PROXY_API_KEY", "SLACK_WEBHOOK_URL", "LUMEN_WEBHOOK_URL"}
"""What this command itself uses: to find the proxy, to authenticate, and to send its own alerts."""


class ProbeTargets(NamedTuple):
    """The settings to probe, notes for people, and the environment that decides how an address is reached."""

    settings: Settings
    notes: tuple[str, ...]
    environ: Mapping[str, str]


def find_targets(settings: Settings, environ: Mapping[str, str] = os.environ) -> ProbeTargets:
    """The settings of the running proxy; if none runs, those of this shell.

    There is a note for each setting that this shell sets and the running proxy does not use. A sandbox that is
    requested but does not run has no addresses, and no other address is probed instead.
    """
    holder = find(settings) if settings.port else None
    no_addresses = replace(settings, gateway_url=NONE, cloud_ai_url=NONE)
    if holder is None or holder.state is None:
        return ProbeTargets(no_addresses if settings.sandboxed else settings, (UNKNOWN,) if holder else (), environ)
    known = holder.state
    running = RunningSettings(known)
    if settings.sandboxed and not known.sandbox:
        return ProbeTargets(no_addresses, (on_port(NO_SANDBOX, settings),), environ)
    notes = tuple(_notes(settings, running, environ))
    targets = _settings_of_running(settings, known, running)
    return ProbeTargets(targets, (SANDBOX, *notes) if known.sandbox else notes, running.network_environ(environ))


def _settings_of_running(settings: Settings, known: InstanceState, running: RunningSettings) -> Settings:
    """The settings of the running proxy, as far as they are recorded; a secret only if this shell has the same one."""
    changed = {}
    given = settings.environ()
    for variable, setting in config.BY_VARIABLE.items():
        is_own = variable in OWN or (known.sandbox and variable in EMBEDDED)
        if is_own or variable not in running or running.is_same(variable, given.get(variable)):
            continue
        value = running.value(variable)
        with contextlib.suppress(ValueError):  # written by another release
            changed[setting.field] = setting.parse(value) if value else setting.default
    targets = replace(settings, **changed)
    if known.sandbox:
        return replace(targets.in_sandbox(), gateway_url=known.gateway_url, cloud_ai_url=known.cloud_ai_url)
    return targets


def _notes(settings: Settings, running: RunningSettings, environ: Mapping[str, str]) -> Iterator[str]:
    for difference in running.differences(settings, environ):
        setting = config.BY_VARIABLE.get(difference.variable)
        if difference.variable == config.SANDBOX or (setting and not settings.is_given(setting)):
            continue
        text = _describe(difference)
        if setting is None and running.is_hidden(difference.variable):
            text += ", which is used here because the value of the running proxy is not recorded"
        yield f"{text}; to use the value of this shell: {_command(difference, settings, running)}"


def _command(difference: SettingDifference, settings: Settings, running: RunningSettings) -> str:
    """The command that applies the value. A restart uses a variable of this shell unless an option overrides it."""
    setting = config.BY_VARIABLE.get(difference.variable)
    is_option = setting and "option" in {settings.origins.get(setting.field), running.origin(difference.variable)}
    if running.is_sandbox and difference.variable in EMBEDDED:
        return restart_command([SettingDifference(config.SANDBOX, "on", "off", "--no-sandbox"), difference], settings)
    if is_option:
        return restart_command([difference], settings)
    if difference.asked == UNSET:
        return stop_and_start_commands(settings)
    return on_port("lumen-proxy restart", settings)


def _describe(difference: SettingDifference) -> str:
    if difference.running == difference.asked:
        return f"{difference.variable} of the running proxy differs from that of this shell"
    return f"{difference.variable}: the running proxy uses {difference.running}, this shell has {difference.asked}"
