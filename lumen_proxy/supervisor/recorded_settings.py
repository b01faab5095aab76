"""The settings that an instance was started with, as its state file keeps them: without secrets.

    {"salt": "…", "values": {"LUMEN_UNSUPPORTED": {"value": "ignore", "origin": "option"},
                             "PROXY_API_KEY": {"value": null, "digest": "…", "origin": "environment"}}}

`value` is the text as it may be typed into the variable, null if it is not set. What may not be written down (a secret,
the query of an address, the password of a forward proxy) is left out of it; then `digest` tells whether another
text is the same. Variables that are not settings but decide how an address is reached are recorded like settings.
"""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from lumen_proxy import config
from lumen_proxy.config.parsers import NONE as NOT_USED
from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.masking import mask, without_query
from lumen_proxy.supervisor import network_variables
from lumen_proxy.supervisor.network_variables import NETWORK

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lumen_proxy.supervisor.state import State

PLACES = frozenset({"PROXY_PORT", "LUMEN_STATE_DIR"})  # these say which instance is meant
EMBEDDED = frozenset({"LUMEN_GATEWAY_URL", "CLOUD_AI_URL"})  # a sandbox has its own
SALT_BYTES, DIGEST_BYTES = 16, 16
SCRYPT = {"n": 2**12, "r": 8, "p": 1}  # 4 MiB and some 10 ms for each guess at a secret
EMBEDDED_ONE = "the embedded one of the sandbox"
SECRET, NONE = "(secret)", "(none)"

Entry = dict[str, Any]


def texts(settings: config.Settings) -> dict[str, str | None]:
    """Variable → its value as it may be typed, None if it has none."""
    given = settings.environ()
    return {setting.variable: given.get(setting.variable) for setting in config.SETTINGS}


def record(settings: config.Settings, environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """What the state file keeps of the settings, and of the variables that decide how an address is reached.

    In a sandbox the configured addresses are kept: a restart may leave it.
    """
    settings = settings.outside or settings
    salt, given = os.urandom(SALT_BYTES).hex(), texts(settings)
    values: dict[str, Entry] = {}
    for setting in config.SETTINGS:
        origin = settings.origins.get(setting.field, "default")
        values[setting.variable] = _entry(setting.variable, given[setting.variable], origin, salt.encode())
    for name, text in network_variables.network(environ).items():
        values[name] = _entry(name, text, "environment", salt.encode())
    return {"salt": salt, "values": values}


def _entry(variable: str, text: str | None, origin: str, salt: bytes) -> Entry:
    shown = _public(variable, text) if text else None
    if shown == (text or None):
        return {"value": shown, "origin": origin}
    return {"value": shown, "digest": _digest(text or "", salt), "origin": origin}


def _public(variable: str, text: str) -> str | None:
    """What may be written down and shown of a value; None if all of it is secret."""
    setting = config.BY_VARIABLE.get(variable)
    if setting is None:
        return mask(text) if network_variables.is_proxy(variable) else text
    if setting.secret:
        return None
    return without_query(text) if setting.is_address else text


@cache  # `watch` compares the same few texts every few seconds
def _digest(text: str, salt: bytes) -> str:
    import hashlib  # noqa: PLC0415 - 5 ms; most instances have no secret

    return hashlib.scrypt(text.encode("utf-8", "surrogateescape"), salt=salt, dklen=DIGEST_BYTES, **SCRYPT).hex()


@dataclass(frozen=True)
class Difference:
    """A setting that an instance was not started with. Texts are for people; a secret is never among them."""

    variable: str
    running: str
    asked: str
    option: str | None = None
    """The option of `restart` that asks for it; None if only a variable can."""

    def __str__(self) -> str:
        """In words."""
        if self.running == self.asked:  # the part that differs may not be shown
            return f"{self.variable} differs"
        return f"{self.variable}: {self.running} is running, {self.asked} was requested"


class Recorded:
    """The settings of an instance, read from its state."""

    def __init__(self, known: State) -> None:
        self.is_sandbox = known.sandbox
        values = known.settings.get("values")
        self._salt = str(known.settings.get("salt")).encode()
        self._has_network = bool(values)
        self._embedded = {"LUMEN_GATEWAY_URL": known.gateway_url, "CLOUD_AI_URL": known.cloud_ai_url}
        by_one_name = {network_variables.one_name(name): entry for name, entry in (values or {}).items()}
        self._values: dict[str, Entry] = by_one_name or _of_an_older_release(known)
        self.not_recorded = () if values else tuple(sorted(EMBEDDED - self._values.keys()))
        """Addresses that an older release used and did not record."""

    def __contains__(self, variable: str) -> bool:
        """True if anything is recorded of the variable."""
        return variable in self._values

    def value(self, variable: str) -> str | None:
        """The text, without what may not be written down; None if it is not set or all of it is secret."""
        found: str | None = self._values.get(variable, {}).get("value")
        return found

    def origin(self, variable: str) -> str:
        """`default`, `environment`, `option` or `sandbox`."""
        return str(self._values.get(variable, {}).get("origin", "default"))

    def is_hidden(self, variable: str) -> bool:
        """True if the value, or a part of it, was not written down."""
        return "digest" in self._values.get(variable, {})

    def is_same(self, variable: str, text: str | None) -> bool:
        """True if the instance was started with this text."""
        if self.is_hidden(variable):
            return bool(text) and _digest(text or "", self._salt) == self._values[variable]["digest"]
        return self.value(variable) == (text or None)

    def shown(self, variable: str) -> str:
        """For people."""
        if self.is_hidden(variable) and self.value(variable) is None:
            return SECRET
        return self.value(variable) or NONE

    def differences(self, asked: config.Settings, environ: Mapping[str, str] = os.environ) -> Iterator[Difference]:
        """The settings of `asked` that the instance was not started with, and the ways to addresses of `environ`."""
        if self.is_sandbox != asked.sandboxed:
            words = {True: "on", False: "off"}
            option = "--sandbox" if asked.sandboxed else "--no-sandbox"
            yield Difference(config.SANDBOX, words[self.is_sandbox], words[asked.sandboxed], option)
        for variable, text in texts(asked).items():
            if variable in self and not self._is_moot(variable, asked) and not self.is_same(variable, text):
                yield self._difference(variable, text)
        if self._has_network and not self.is_sandbox and not asked.sandboxed:
            here = network_variables.network(environ)
            yield from (
                self._difference(name, here.get(name)) for name in NETWORK if not self.is_same(name, here.get(name))
            )

    def _is_moot(self, variable: str, asked: config.Settings) -> bool:
        """True for what says which instance is meant, and for an address that a sandbox does without."""
        if variable in EMBEDDED and (self.is_sandbox or asked.sandboxed):
            return asked.sandboxed or not asked.is_given(config.BY_VARIABLE[variable])
        return variable in PLACES

    def _difference(self, variable: str, text: str | None) -> Difference:
        setting = config.BY_VARIABLE.get(variable)
        shown = (_public(variable, text) or SECRET) if text else NONE
        running = EMBEDDED_ONE if self.is_sandbox and variable in EMBEDDED else self.shown(variable)
        option = None
        if setting and not setting.secret:
            value = shlex.quote(text or "") if shown in {text, NONE} else f'"${variable}"'
            option = f"--{setting.field.replace('_', '-')} {value}"
        return Difference(variable, running, shown, option)

    def rows(self) -> list[dict[str, str | None]]:
        """Every variable with its value and origin; secrets are masked."""
        return [self._row(name) for name in self._values]

    def _row(self, name: str) -> dict[str, str | None]:
        if self.is_sandbox and name in EMBEDDED:
            return {"variable": name, "value": self._embedded[name], "origin": config.SANDBOX}
        value = self.shown(name) if self.is_hidden(name) else self.value(name)
        return {"variable": name, "value": value, "origin": self.origin(name)}

    def network(self, environ: Mapping[str, str]) -> dict[str, str]:
        """`environ` with the ways to addresses of the instance. One that is not written down is that of `environ`."""
        if not self._has_network:
            return dict(environ)
        here = network_variables.network(environ)
        wanted = {name: here.get(name) if self.is_hidden(name) else self.value(name) for name in NETWORK}
        return network_variables.with_network(environ, wanted)

    def explicit(self) -> Iterator[str]:
        """The variables that were set by an option or in the environment."""
        return (name for name in self._values if self.origin(name) in {"option", "environment"} and name not in PLACES)


def _of_an_older_release(known: State) -> dict[str, Entry]:
    """What is certain: of a sandbox only the embedded addresses are known, of Cloud AI not whether it had a query."""
    values = {"PROXY_HOST": known.host}
    if not known.sandbox:
        values["LUMEN_GATEWAY_URL"] = known.gateway_url
        if known.cloud_ai_url in {config.CLOUD_AI_URL, NOT_USED}:
            values["CLOUD_AI_URL"] = known.cloud_ai_url
    return {name: {"value": value, "origin": "environment"} for name, value in values.items()}


def inherit(
    recorded: Recorded, environ: Mapping[str, str], options: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Environment and options of a restart: those of the instance, unless they are given anew.

    An option of the restart comes first, then an option of the instance, then a variable of this shell, then a
    variable of the instance. Raises Fatal (78) for a secret that the instance had and this shell has not.
    """
    merged_environ, merged_options = dict(environ), dict(options)
    here = {**environ, **network_variables.network(environ)}
    for variable in recorded.explicit():
        setting = config.BY_VARIABLE.get(variable)
        field = setting.field if setting else ""
        text = recorded.value(variable)
        if field in options:
            continue
        if recorded.is_hidden(variable) and recorded.origin(variable) == "option":
            merged_options[field] = _given_again(recorded, variable, here)
        elif recorded.is_hidden(variable):
            if not here.get(variable, "").strip():
                raise _missing(variable)
        elif text and recorded.origin(variable) == "option":
            merged_options[field] = text
        elif text and not here.get(variable, "").strip():
            merged_environ[variable] = text
    return merged_environ, merged_options


def _given_again(recorded: Recorded, variable: str, environ: Mapping[str, str]) -> str:
    """The text of an option that was not written down, if a variable of this shell has the same one."""
    text = environ.get(variable, "").strip()
    if recorded.is_same(variable, text):
        return text
    option = f"--{config.BY_VARIABLE[variable].field.replace('_', '-')}"
    problem = f"cannot restart: the proxy was started with {option} {recorded.shown(variable)} and more"
    problem = f"{problem}, which is not recorded, and {variable} of this shell is not the same"
    raise Fatal(f"{problem}; give {option} again", Exit.CONFIG)


def _missing(variable: str) -> Fatal:
    problem = f"cannot restart: the proxy was started with {variable}, which is not set here and not recorded"
    return Fatal(f"{problem}; set it, or to do without: lumen-proxy stop, then lumen-proxy start", Exit.CONFIG)
