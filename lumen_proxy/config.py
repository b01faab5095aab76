"""Every setting of the proxy: its variable, default, range and meaning, in one table.

Environment first, command-line options override. A bad value ends the program (78) and names the
variable and the remedy; so does a variable that is almost, but not quite, one of ours.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lumen_proxy.errors import Exit, Fatal

GATEWAY_URL = "https://lumen-gateway-x4qvsargwa-uc.a.run.app"
CLOUD_AI_URL = "https://ion-api-64076350717.us-central1.run.app/chat"
NONE = "none"  # an address that is switched off
SANDBOX = "sandbox"  # where both addresses come from when embedded channels stand in for them

Parse = Callable[[str], Any]


def _integer(low: int, high: int | None = None) -> Parse:
    def parse(text: str) -> int:
        wanted = f"a whole number from {low}" + (f" to {high}" if high is not None else "")
        try:
            value = int(text, 10)
        except ValueError:
            raise ValueError(wanted) from None
        if value < low or (high is not None and value > high):
            raise ValueError(wanted)
        return value

    return parse


def _seconds(low: float, high: float = 86_400) -> Parse:
    def parse(text: str) -> float:
        wanted = f"seconds from {low:g} to {high:g}"
        try:
            value = float(text)
        except ValueError:
            raise ValueError(wanted) from None
        if not low <= value <= high:  # also refuses nan
            raise ValueError(wanted)
        return value

    return parse


def _one_of(*words: str) -> Parse:
    def parse(text: str) -> str:
        if text.lower() not in words:
            raise ValueError("one of: " + ", ".join(words))
        return text.lower()

    return parse


def _switch(text: str) -> bool:
    words = {
        "1": True,
        "true": True,
        "yes": True,
        "on": True,
        "0": False,
        "false": False,
        "no": False,
        "off": False,
    }
    if text.lower() not in words:
        raise ValueError("1 or 0")
    return words[text.lower()]


def _secret(text: str) -> str | None:
    if not text.isascii() or not text.isprintable():
        raise ValueError("printable ASCII without line breaks")
    return text


def _url(text: str) -> str:
    wanted = "an http:// or https:// address without a user name, such as https://gateway.example"
    try:
        parts = urlsplit(text)
        _ = parts.port  # a port that is not a number is noticed only when asked for
    except ValueError:
        raise ValueError(wanted) from None
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or parts.username
        or not text.isprintable()
        or " " in text
    ):
        raise ValueError(wanted)
    return text


def _url_or_none(text: str) -> str:
    return NONE if text.lower() == NONE else _url(text)


def _gateway(text: str) -> str:
    """Both forms seen in the field, with and without `/chat`, mean the same origin."""
    url = _url(text)
    if urlsplit(url).query or urlsplit(url).fragment:
        raise ValueError("an address without a query, such as https://gateway.example")
    return url.rstrip("/").removesuffix("/chat").rstrip("/")


def _host(text: str) -> str:
    if text.lower() == "localhost":
        return "localhost"
    try:
        return str(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        raise ValueError("localhost or a literal IP address") from None


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.lower().split(",") if name.strip())


def _path(text: str) -> Path:
    return Path(text).expanduser().absolute()


def _state_dir() -> Path:
    import platformdirs  # noqa: PLC0415 - not needed when the variable is set

    return Path(platformdirs.user_state_dir("lumen-proxy", appauthor=False))


def _log_dir() -> Path:
    import platformdirs  # noqa: PLC0415 - not needed when the variable is set

    return Path(platformdirs.user_log_dir("lumen-proxy", appauthor=False))


@dataclass(frozen=True)
class Setting:
    """One row of the table. `parse` raises ValueError whose text says what is wanted."""

    variable: str
    field: str
    default: Any
    parse: Parse
    meaning: str
    secret: bool = False


MIB = 1024 * 1024

# A table reads as one row a line.
# fmt: off
SETTINGS = (
    Setting("LUMEN_GATEWAY_URL", "gateway_url", GATEWAY_URL, _gateway, "the Lumen Gateway, with or without /chat"),
    Setting("PROXY_HOST", "host", "localhost", _host, "localhost = both loopbacks; a literal address = that one only"),
    Setting("PROXY_PORT", "port", 8080, _integer(0, 65_535), "0 = any free one"),
    Setting("PROXY_API_KEY", "api_key", None, _secret, "key that clients must send", secret=True),
    Setting("CLOUD_AI_URL", "cloud_ai_url", CLOUD_AI_URL, _url_or_none, "its chat address; none = not used"),
    Setting("CLOUD_AI_API_KEY", "cloud_ai_api_key", None, _secret, "key for Cloud AI", secret=True),
    Setting("SLACK_WEBHOOK_URL", "slack_webhook_url", None, _url, "where alerts go (Slack)", secret=True),
    Setting("LUMEN_WEBHOOK_URL", "webhook_url", None, _url, "where alerts go (plain JSON)", secret=True),
    Setting("LUMEN_ALLOWED_HOSTS", "allowed_hosts", (), _names, "Host names accepted beside the loopback names"),
    Setting("LUMEN_ALLOWED_ORIGINS", "allowed_origins", (), _names, "Origins accepted; none = no browser page"),
    Setting("LUMEN_MODEL_STRICT", "model_strict", default=False, parse=_switch, meaning="1 = unknown model: 404"),
    Setting("LUMEN_HISTORY", "history", "fold", _one_of("fold", "last"), "earlier turns: fold in, or drop"),
    Setting("LUMEN_UNSUPPORTED", "unsupported", "reject", _one_of("reject", "ignore"), "tools in a request"),
    Setting("LUMEN_FALLBACK", "fallback", "off", _one_of("off", "cloud_ai"), "who answers when the gateway cannot"),
    Setting("LUMEN_MAX_MESSAGE_CHARS", "max_message_chars", 32_000, _integer(1), "characters sent to the gateway"),
    Setting("LUMEN_MAX_BODY_BYTES", "max_body_bytes", MIB, _integer(1024), "size of a request"),
    Setting("LUMEN_MAX_RESPONSE_BYTES", "max_response_bytes", 8 * MIB, _integer(1024), "size of a gateway answer"),
    Setting("LUMEN_TIMEOUT_S", "timeout_s", 60.0, _seconds(0.05), "one deadline: queue, retries and fallback"),
    Setting("LUMEN_CONNECT_TIMEOUT_S", "connect_timeout_s", 3.0, _seconds(0.01), "reaching the gateway"),
    Setting("LUMEN_HEADER_TIMEOUT_S", "header_timeout_s", 10.0, _seconds(0.05), "total time for a client's headers"),
    Setting("LUMEN_MAX_CONCURRENCY", "max_concurrency", 8, _integer(1, 1024), "gateway calls at once"),
    Setting("LUMEN_MAX_QUEUE", "max_queue", 16, _integer(0, 4096), "requests waiting for a gateway call"),
    Setting("LUMEN_QUEUE_TIMEOUT_S", "queue_timeout_s", 5.0, _seconds(0), "how long they wait"),
    Setting("LUMEN_BREAKER_FAILURES", "breaker_failures", 5, _integer(1), "failures in a row that open the breaker"),
    Setting("LUMEN_BREAKER_OPEN_S", "breaker_open_s", 15.0, _seconds(0), "how long it stays open"),
    Setting("LUMEN_STREAM_COMMIT_S", "stream_commit_s", 10.0, _seconds(0), "a stream waits this long with its headers"),
    Setting("LUMEN_SSE_KEEPALIVE_S", "sse_keepalive_s", 15.0, _seconds(0.01), "between keep-alive comments"),
    Setting("LUMEN_STANDBY", "standby", default=True, parse=_switch, meaning="1 = a spare worker (no effect yet)"),
    Setting("LUMEN_MAX_RESTARTS", "max_restarts", 5, _integer(0), "unexpected exits before giving up; 0 = never"),
    Setting("LUMEN_RESTART_WINDOW_S", "restart_window_s", 60.0, _seconds(0.1), "the window they are counted in"),
    Setting("LUMEN_RESTART_BACKOFF_S", "restart_backoff_s", 0.25, _seconds(0), "delay of the second restart; 0 = none"),
    Setting("LUMEN_WATCHDOG_S", "watchdog_s", 10.0, _seconds(0.1), "a hang is noticed within this (no effect yet)"),
    Setting("LUMEN_DRAIN_S", "drain_s", 30.0, _seconds(0), "time for work in flight at a stop"),
    Setting("LUMEN_STATE_DIR", "state_dir", _state_dir, _path, "lock and state files"),
    Setting("LUMEN_LOG_DIR", "log_dir", _log_dir, _path, "journal and logs"),
    Setting("LUMEN_LOG_LEVEL", "log_level", "info", _one_of("debug", "info", "warning", "error"), "how much is logged"),
    Setting("LUMEN_LOG_MAX_BYTES", "log_max_bytes", 10 * MIB, _integer(1024), "size at which a log rotates"),
    Setting("LUMEN_LOG_KEEP", "log_keep", 5, _integer(0, 1000), "rotated files kept"),
    Setting("LUMEN_LOG_DAYS", "log_days", 14, _integer(1), "days they are kept"),
)
# fmt: on

BY_VARIABLE = {setting.variable: setting for setting in SETTINGS}
BY_FIELD = {setting.field: setting for setting in SETTINGS}


@dataclass(frozen=True)
class Settings:
    """All values, parsed. Times in seconds, sizes in bytes. Secrets never show in the repr."""

    gateway_url: str
    host: str
    port: int
    cloud_ai_url: str
    allowed_hosts: tuple[str, ...]
    allowed_origins: tuple[str, ...]
    model_strict: bool
    history: str
    unsupported: str
    fallback: str
    max_message_chars: int
    max_body_bytes: int
    max_response_bytes: int
    timeout_s: float
    connect_timeout_s: float
    header_timeout_s: float
    max_concurrency: int
    max_queue: int
    queue_timeout_s: float
    breaker_failures: int
    breaker_open_s: float
    stream_commit_s: float
    sse_keepalive_s: float
    standby: bool
    max_restarts: int
    restart_window_s: float
    restart_backoff_s: float
    watchdog_s: float
    drain_s: float
    state_dir: Path
    log_dir: Path
    log_level: str
    log_max_bytes: int
    log_keep: int
    log_days: int
    api_key: str | None = field(repr=False)
    cloud_ai_api_key: str | None = field(repr=False)
    slack_webhook_url: str | None = field(repr=False)
    webhook_url: str | None = field(repr=False)
    origins: Mapping[str, str] = field(repr=False, compare=False)
    """Field name → where its value came from: `default`, `environment`, `option` or `sandbox`."""
    warnings: tuple[str, ...] = field(default=(), repr=False, compare=False)

    @property
    def sandboxed(self) -> bool:
        """True if an embedded gateway and Cloud AI are wanted instead of the real ones."""
        return self.origins.get("gateway_url") == SANDBOX

    def in_sandbox(self) -> Settings:
        """The same, to be run or looked at without a network."""
        return replace(self, origins={**self.origins, "gateway_url": SANDBOX, "cloud_ai_url": SANDBOX})

    def environ(self) -> dict[str, str]:
        """The same settings as variables, for a child process; `load` gives them back."""
        values = {setting.variable: getattr(self, setting.field) for setting in SETTINGS}
        return {variable: _text(value) for variable, value in values.items() if value is not None}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value)


def load(environ: Mapping[str, str] = os.environ, overrides: Mapping[str, str] | None = None) -> Settings:
    """Read all settings. `overrides` maps field names to the texts of command-line options.

    An empty variable counts as not set. Raises Fatal: 78 for a bad variable, 64 for a bad option.
    """
    options = overrides or {}
    warnings = _unknown_names(environ)
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for setting in SETTINGS:
        text = environ.get(setting.variable, "").strip()
        if setting.field in options:
            values[setting.field], origins[setting.field] = _option(setting, options[setting.field]), "option"
        elif text:
            values[setting.field], origins[setting.field] = _variable(setting, text), "environment"
        else:
            default = setting.default
            values[setting.field], origins[setting.field] = (
                default() if callable(default) else default,
                "default",
            )
    if values["fallback"] == "cloud_ai" and values["cloud_ai_url"] == NONE:
        raise Fatal("LUMEN_FALLBACK is cloud_ai, but CLOUD_AI_URL is none; set the address or unset it", Exit.CONFIG)
    return Settings(**values, origins=origins, warnings=warnings)


def _option(setting: Setting, text: str) -> object:
    try:
        return setting.parse(text)
    except ValueError as wanted:
        option = "--" + setting.field.replace("_", "-")
        raise Fatal(
            f"{option} is {_shown(setting, text)}, which is not {wanted}; mend the option", Exit.USAGE
        ) from None


def _variable(setting: Setting, text: str) -> object:
    try:
        return setting.parse(text)
    except ValueError as wanted:
        problem = f"{setting.variable} is {_shown(setting, text)}, which is not {wanted}"
        raise Fatal(f"{problem}; mend or unset the variable", Exit.CONFIG) from None


def _shown(setting: Setting, text: str) -> str:
    """The text as it may be shown: an address keeps its user name and password to itself."""
    return "a secret of the wrong form" if setting.secret else ascii(re.sub(r"//.*@", "//***@", text))


def _unknown_names(environ: Mapping[str, str]) -> tuple[str, ...]:
    warnings = []
    for name in sorted(environ):
        if not name.startswith("LUMEN_") or name in BY_VARIABLE:
            continue
        for known in BY_VARIABLE:
            if _within_two(name, known):
                raise Fatal(f"{name} is not a setting; did you mean {known}? Rename or unset it", Exit.CONFIG)
        warnings.append(f"{name} is not a setting of lumen-proxy and has no effect; see: lumen-proxy config")
    return tuple(warnings)


TYPO_DISTANCE = 2  # letters inserted, dropped or changed


def _within_two(a: str, b: str) -> bool:
    """Levenshtein distance of at most two."""
    if abs(len(a) - len(b)) > TYPO_DISTANCE:
        return False
    row = list(range(len(b) + 1))
    for i, letter in enumerate(a, 1):
        above, row = row, [i]
        for j, other in enumerate(b, 1):
            row.append(min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (letter != other)))
    return row[-1] <= TYPO_DISTANCE


if {setting.field for setting in SETTINGS} | {"origins", "warnings"} != {f.name for f in fields(Settings)}:
    raise AssertionError("the table and the class of settings differ")  # pragma: no cover
