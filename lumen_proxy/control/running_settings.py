"""The settings of a running instance, read from its state file: how they differ from others, how a restart keeps them.

`supervisor.settings_record` describes the record and writes it.
"""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lumen_proxy import config
from lumen_proxy.config.parsers import NONE as NOT_USED
from lumen_proxy.control.advice import selectors
from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.supervisor import settings_record
from lumen_proxy.supervisor.settings_record import NETWORK, Entry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lumen_proxy.supervisor.state import InstanceState

SELECTORS = frozenset({"PROXY_PORT", "LUMEN_STATE_DIR"})  # these select the instance
EMBEDDED = frozenset({"LUMEN_GATEWAY_URL", "CLOUD_AI_URL"})  # a sandbox has its own
EMBEDDED_VALUE = "the embedded one of the sandbox"
SECRET, UNSET = "(secret)", "(none)"


@dataclass(frozen=True)
class SettingDifference:
    """A setting that an instance was not started with. The texts are for people and contain no secret."""

    variable: str
    running: str
    asked: str
    option: str | None = None
    """The option of `restart` for this value; None if only a variable can set it."""

    def __str__(self) -> str:
        """One phrase for a message."""
        if self.running == self.asked:  # the part that differs is secret
            return f"{self.variable} differs"
        return f"{self.variable}: {self.running} is running, {self.asked} was requested"


class RunningSettings:
    """The settings of an instance."""

    def __init__(self, state: InstanceState) -> None:
        self.is_sandbox = state.sandbox
        entries = state.settings.get("values")
        self._salt = str(state.settings.get("salt")).encode()
        self._has_network = bool(entries)
        self._embedded = {"LUMEN_GATEWAY_URL": state.gateway_url, "CLOUD_AI_URL": state.cloud_ai_url}
        by_name = {settings_record.recorded_name(name): entry for name, entry in (entries or {}).items()}
        self._entries: dict[str, Entry] = by_name or _entries_of_older_release(state)
        self.not_recorded = () if entries else tuple(sorted(EMBEDDED - self._entries.keys()))
        """Addresses that an older release uses but does not record."""

    def __contains__(self, variable: str) -> bool:
        """True if the variable is recorded."""
        return variable in self._entries

    def value(self, variable: str) -> str | None:
        """The public part of the value; None if it is not set or all of it is secret."""
        value: str | None = self._entries.get(variable, {}).get("value")
        return value

    def origin(self, variable: str) -> str:
        """`default`, `environment`, `option` or `sandbox`."""
        return str(self._entries.get(variable, {}).get("origin", "default"))

    def is_hidden(self, variable: str) -> bool:
        """True if the value, or a part of it, is secret."""
        return "digest" in self._entries.get(variable, {})

    def is_same(self, variable: str, text: str | None) -> bool:
        """True if the instance was started with this value."""
        if self.is_hidden(variable):
            return bool(text) and settings_record.digest(text or "", self._salt) == self._entries[variable]["digest"]
        return self.value(variable) == (text or None)

    def shown(self, variable: str) -> str:
        """The value for people."""
        if self.is_hidden(variable) and self.value(variable) is None:
            return SECRET
        return self.value(variable) or UNSET

    def differences(
        self, asked: config.Settings, environ: Mapping[str, str] = os.environ
    ) -> Iterator[SettingDifference]:
        """The values of `asked`, and the network variables of `environ`, that the instance was not started with."""
        if self.is_sandbox != asked.sandboxed:
            names = {True: "on", False: "off"}
            option = "--sandbox" if asked.sandboxed else "--no-sandbox"
            yield SettingDifference(config.SANDBOX, names[self.is_sandbox], names[asked.sandboxed], option)
        for variable, text in settings_record.texts(asked).items():
            if variable in self and not self._is_irrelevant(variable, asked) and not self.is_same(variable, text):
                yield self._difference(variable, text)
        if self._has_network and not self.is_sandbox and not asked.sandboxed:
            here = settings_record.network_variables(environ)
            for name in NETWORK:
                if not self.is_same(name, here.get(name)):
                    yield self._difference(name, here.get(name))

    def _is_irrelevant(self, variable: str, asked: config.Settings) -> bool:
        """True if the variable selects the instance, or is an address that a sandbox replaces."""
        if variable in EMBEDDED and (self.is_sandbox or asked.sandboxed):
            return asked.sandboxed or not asked.is_given(config.BY_VARIABLE[variable])
        return variable in SELECTORS

    def _difference(self, variable: str, text: str | None) -> SettingDifference:
        setting = config.BY_VARIABLE.get(variable)
        shown = (settings_record.public_part(variable, text) or SECRET) if text else UNSET
        running = EMBEDDED_VALUE if self.is_sandbox and variable in EMBEDDED else self.shown(variable)
        option = None
        if setting and not setting.secret:
            value = shlex.quote(text or "") if shown in {text, UNSET} else f'"${variable}"'
            option = f"{_option(setting)} {value}"
        return SettingDifference(variable, running, shown, option)

    def rows(self) -> list[dict[str, str | None]]:
        """Each variable with its value and origin; secrets are masked."""
        return [self._row(name) for name in self._entries]

    def _row(self, name: str) -> dict[str, str | None]:
        if self.is_sandbox and name in EMBEDDED:
            return {"variable": name, "value": self._embedded[name], "origin": config.SANDBOX}
        value = self.shown(name) if self.is_hidden(name) else self.value(name)
        return {"variable": name, "value": value, "origin": self.origin(name)}

    def network_environ(self, environ: Mapping[str, str]) -> dict[str, str]:
        """`environ` with the network variables of the instance; a hidden value is taken from `environ`."""
        if not self._has_network:
            return dict(environ)
        here = settings_record.network_variables(environ)
        values = {name: here.get(name) if self.is_hidden(name) else self.value(name) for name in NETWORK}
        others = {name: text for name, text in environ.items() if settings_record.recorded_name(name) not in NETWORK}
        return others | {name: text for name, text in values.items() if text}

    def explicit(self) -> Iterator[str]:
        """The variables that were set by an option or in the environment."""
        given = {"option", "environment"}
        return (name for name in self._entries if self.origin(name) in given and name not in SELECTORS)


def _entries_of_older_release(state: InstanceState) -> dict[str, Entry]:
    """The settings that are certain. Older releases record no configured address of a sandbox and no query."""
    values = {"PROXY_HOST": state.host}
    if not state.sandbox:
        values["LUMEN_GATEWAY_URL"] = state.gateway_url
        if state.cloud_ai_url in {config.CLOUD_AI_URL, NOT_USED}:
            values["CLOUD_AI_URL"] = state.cloud_ai_url
    return {name: {"value": value, "origin": "environment"} for name, value in values.items()}


def _option(setting: config.Setting) -> str:
    return f"--{setting.field.replace('_', '-')}"


def merge_for_restart(
    running: RunningSettings, environ: Mapping[str, str], options: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Environment and options of a restart: those of the instance, unless new ones are given.

    The order is: option of the restart, option of the instance, variable of this shell, variable of the instance.
    Raises Fatal (78) for a secret that the instance has and this shell does not have.
    """
    merged_environ, merged_options = dict(environ), dict(options)
    here = {**environ, **settings_record.network_variables(environ)}
    for variable in running.explicit():
        setting = config.BY_VARIABLE.get(variable)
        field = setting.field if setting else ""
        text = running.value(variable)
        if field in options:
            continue
        if running.is_hidden(variable) and running.origin(variable) == "option":
            merged_options[field] = _same_text(running, variable, here)
        elif running.is_hidden(variable):
            if not here.get(variable, "").strip():
                raise _missing(variable)
        elif text and running.origin(variable) == "option":
            merged_options[field] = text
        elif text and not here.get(variable, "").strip():
            merged_environ[variable] = text
    return merged_environ, merged_options


def _same_text(running: RunningSettings, variable: str, environ: Mapping[str, str]) -> str:
    """The text of an option that is not recorded, if a variable of this shell has the same one."""
    text = environ.get(variable, "").strip()
    if running.is_same(variable, text):
        return text
    option = _option(config.BY_VARIABLE[variable])
    problem = f"cannot restart: the proxy was started with {option} {running.shown(variable)} and a secret part"
    problem = f"{problem}, which is not recorded, and {variable} of this shell has another value"
    raise Fatal(f"{problem}; give {option} again", Exit.CONFIG)


def _missing(variable: str) -> Fatal:
    problem = f"cannot restart: the proxy was started with {variable}, which is not recorded and not set in this shell"
    return Fatal(f"{problem}; set it, or start without it: lumen-proxy stop, then lumen-proxy start", Exit.CONFIG)


def restart_command(differences: Sequence[SettingDifference], settings: config.Settings) -> str:
    """The command that makes the running proxy use the requested values."""
    options = [difference.option for difference in differences if difference.option]
    variables = [difference for difference in differences if '"$' in (difference.option or '"$')]
    if any(difference.asked == UNSET for difference in variables):  # a restart would keep the value, or refuse
        return stop_and_start_commands(settings)
    command = " ".join([f"lumen-proxy restart{selectors(settings)}", *options])
    names = ", ".join(difference.variable for difference in variables)
    return f"set {names}, then: {command}" if names else command


def stop_and_start_commands(settings: config.Settings) -> str:
    """The two commands that keep no setting of the running proxy."""
    return f"lumen-proxy stop{selectors(settings)}, then lumen-proxy start{selectors(settings)}"
