"""The settings that an instance was started with, as its state file keeps them: without secrets.

    {"salt": "…", "values": {"LUMEN_UNSUPPORTED": {"value": "ignore", "origin": "option"},
                             "PROXY_API_KEY": {"value": null, "digest": "…", "origin": "environment"}}}

`value` is the text as it may be typed into the variable, null if it is not set. What may not be written down (a secret,
the query of an address, the password of a forward proxy) is left out of it; then `digest` tells whether another
text is the same. Variables that are not settings but decide how an address is reached are recorded like settings.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from lumen_proxy import config
from lumen_proxy.errors import Exit, Fatal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lumen_proxy.supervisor.state import State

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
NETWORK = (*_PROXIES, *map(str.lower, _PROXIES), *_CERTIFICATES)
"""Read by the libraries that make connections."""
PLACES = frozenset({"PROXY_PORT", "LUMEN_STATE_DIR"})  # these say which instance is meant
EMBEDDED = frozenset({"LUMEN_GATEWAY_URL", "CLOUD_AI_URL"})  # a sandbox has its own
SALT_BYTES, DIGEST_BYTES = 16, 16
SCRYPT = {"n": 2**12, "r": 8, "p": 1}  # 4 MiB and some 10 ms for each guess at a secret
USER_INFO = re.compile(r"//[^/@]*@")

Entry = dict[str, Any]


def texts(settings: config.Settings) -> dict[str, str | None]:
    """Variable → its value as it may be typed, None if it has none."""
    given = settings.environ()
    return {setting.variable: given.get(setting.variable) for setting in config.SETTINGS}


def record(settings: config.Settings, environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """What the state file keeps of the settings, and of the variables that decide how an address is reached."""
    salt, given = os.urandom(SALT_BYTES).hex(), texts(settings)
    values: dict[str, Entry] = {}
    for setting in config.SETTINGS:
        text = given[setting.variable]
        values[setting.variable] = _entry(
            text, settings.origins.get(setting.field, "default"), salt.encode(), setting.secret
        )
    for name in NETWORK:
        if environ.get(name):
            values[name] = _entry(environ[name], "environment", salt.encode(), is_secret=False)
    return {"salt": salt, "values": values}


def _entry(text: str | None, origin: str, salt: bytes, is_secret: bool) -> Entry:  # noqa: FBT001 - one caller
    if not text:
        return {"value": None, "origin": origin}
    shown = None if is_secret else public(text)
    if shown == text:
        return {"value": text, "origin": origin}
    return {"value": shown, "digest": _digest(text, salt), "origin": origin}


def public(text: str) -> str:
    """The text without what may be a secret in an address: user name, password, query."""
    return USER_INFO.sub("//***@", text).partition("?")[0] if "://" in text else text


@cache  # `watch` compares the same few texts every few seconds
def _digest(text: str, salt: bytes) -> str:
    import hashlib  # noqa: PLC0415 - 5 ms; most instances have no secret

    return hashlib.scrypt(text.encode(), salt=salt, dklen=DIGEST_BYTES, **SCRYPT).hex()


@dataclass(frozen=True)
class Difference:
    """A setting that an instance was not started with. Texts are for people; a secret is never among them."""

    variable: str
    running: str
    asked: str

    def __str__(self) -> str:
        """In words."""
        if self.running == self.asked:  # the part that differs may not be shown
            return f"{self.variable} differs"
        return f"{self.variable} {self.running} (running), {self.asked} (asked for)"


class Recorded:
    """The settings of an instance, read from its state."""

    def __init__(self, known: State) -> None:
        self.is_sandbox = known.sandbox
        values = known.settings.get("values") or _of_an_older_release(known)
        self._salt = str(known.settings.get("salt")).encode()
        self._values: dict[str, Entry] = values

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
            return "(secret)"
        return self.value(variable) or "(none)"

    def differences(self, asked: config.Settings) -> Iterator[Difference]:
        """The settings of `asked` that the instance was not started with."""
        if self.is_sandbox != asked.sandboxed:
            words = {True: "on", False: "off"}
            yield Difference(config.SANDBOX, words[self.is_sandbox], words[asked.sandboxed])
        for variable, text in texts(asked).items():
            is_moot = variable in PLACES or (asked.sandboxed and variable in EMBEDDED)
            is_moot = is_moot or (self.is_sandbox and variable in EMBEDDED)
            if variable in self and not is_moot and not self.is_same(variable, text):
                yield Difference(variable, self.shown(variable), _shown(variable, text))

    def rows(self) -> list[dict[str, str | None]]:
        """Every variable with its value and origin; secrets are masked."""
        return [
            {
                "variable": name,
                "value": self.shown(name) if self.is_hidden(name) else self.value(name),
                "origin": self.origin(name),
            }
            for name in self._values
        ]

    def explicit(self) -> Iterator[str]:
        """The variables that were set by an option or in the environment."""
        return (name for name in self._values if self.origin(name) in {"option", "environment"} and name not in PLACES)


def _shown(variable: str, text: str | None) -> str:
    if not text:
        return "(none)"
    setting = config.BY_VARIABLE.get(variable)
    return "(secret)" if setting and setting.secret else public(text)


def _of_an_older_release(known: State) -> dict[str, Entry]:
    values = {"LUMEN_GATEWAY_URL": known.gateway_url, "CLOUD_AI_URL": known.cloud_ai_url, "PROXY_HOST": known.host}
    return {name: {"value": value, "origin": "environment"} for name, value in values.items()}


def inherit(
    recorded: Recorded, environ: Mapping[str, str], options: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Environment and options of a restart: those of the instance, unless they are given anew.

    An option of the restart comes first, then an option of the instance, then a variable of this shell, then a
    variable of the instance. Raises Fatal (78) for a secret that the instance had and this shell has not.
    """
    merged_environ, merged_options = dict(environ), dict(options)
    for variable in recorded.explicit():
        setting = config.BY_VARIABLE.get(variable)
        field = setting.field if setting else ""
        text = recorded.value(variable)
        if field in options:
            continue
        if recorded.is_hidden(variable) and recorded.origin(variable) == "option":
            merged_options[field] = _given_again(recorded, variable, environ)
        elif recorded.is_hidden(variable):
            if not environ.get(variable, "").strip():
                raise _missing(variable)
        elif text and recorded.origin(variable) == "option":
            merged_options[field] = text
        elif text and not environ.get(variable, "").strip():
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
