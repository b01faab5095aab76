"""Every setting of the proxy: its variable, default, range and meaning, in one table.

Environment first, command-line options override. A bad value ends the program (78) and names the
variable and the remedy; so does a variable that is almost, but not quite, one of ours.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.values import (
    MAX_PORT,
    NONE,
    Names,
    bind,
    gateway,
    host_names,
    integer,
    one_of,
    path,
    seconds,
    secret,
    switch,
    url,
    url_or_none,
    web_origins,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

GATEWAY_URL = "https://lumen-gateway-x4qvsargwa-uc.a.run.app"
CLOUD_AI_URL = "https://ion-api-64076350717.us-central1.run.app/chat"
SANDBOX = "sandbox"  # where both addresses come from when embedded channels stand in for them

T = TypeVar("T")


def _state_dir() -> Path:
    return _user_dir("user_state_dir")


def _log_dir() -> Path:
    return _user_dir("user_log_dir")


def _user_dir(kind: str) -> Path:
    """A folder of this user, by the rules of the system. Raises Fatal (78) where no home folder is known."""
    import platformdirs  # noqa: PLC0415 - not needed when the variables are set

    try:
        folder = Path(getattr(platformdirs, kind)("lumen-proxy", appauthor=False))
    except (RuntimeError, KeyError):  # platformdirs, or the password database
        folder = Path()
    if not folder.is_absolute():
        problem = "the home folder of this user is not known: HOME is not an absolute path, or not set"
        raise Fatal(f"{problem}; set HOME, or LUMEN_STATE_DIR and LUMEN_LOG_DIR, to absolute paths", Exit.CONFIG)
    return folder


@dataclass(frozen=True)
class Setting:
    """One row of the table. `parse` raises ValueError whose text says what is wanted."""

    field: str
    variable: str
    default: Any
    parse: Callable[[str], Any]
    meaning: str
    secret: bool


def _is(
    variable: str, default: T | Callable[[], T], parse: Callable[[str], T], meaning: str, *, secret: bool = False
) -> T:
    """A field of `Settings`, and its row: mypy sees to it that default and parser are of the field's type."""
    row = {"variable": variable, "default": default, "parse": parse, "meaning": meaning, "secret": secret}
    made: T = field(repr=not secret, metadata=row)
    return made


MIB = 1024 * 1024


# A table reads as one row a line.
# fmt: off
@dataclass(frozen=True)
class Settings:
    """All values, parsed. Times in seconds, sizes in bytes. Secrets never show in the repr."""

    gateway_url: str = _is("LUMEN_GATEWAY_URL", GATEWAY_URL, gateway, "the Lumen Gateway, with or without /chat")
    host: str = _is("PROXY_HOST", "localhost", bind, "localhost = both loopbacks; a literal address = that one only")
    port: int = _is("PROXY_PORT", 8080, integer(0, MAX_PORT), "0 = any free one")
    api_key: str | None = _is("PROXY_API_KEY", None, secret, "key that clients must send", secret=True)
    cloud_ai_url: str = _is("CLOUD_AI_URL", CLOUD_AI_URL, url_or_none, "its chat address; none = not used")
    cloud_ai_api_key: str | None = _is("CLOUD_AI_API_KEY", None, secret, "key for Cloud AI", secret=True)
    slack_webhook_url: str | None = _is("SLACK_WEBHOOK_URL", None, url, "where alerts go (Slack)", secret=True)
    webhook_url: str | None = _is("LUMEN_WEBHOOK_URL", None, url, "where alerts go (plain JSON)", secret=True)
    allowed_hosts: Names = _is("LUMEN_ALLOWED_HOSTS", (), host_names, "Host names accepted beside the loopback names")
    allowed_origins: Names = _is("LUMEN_ALLOWED_ORIGINS", (), web_origins, "Origins accepted; none = no browser page")
    model_strict: bool = _is("LUMEN_MODEL_STRICT", default=False, parse=switch, meaning="1 = unknown model: 404")
    history: str = _is("LUMEN_HISTORY", "fold", one_of("fold", "last"), "earlier turns: fold in, or drop")
    unsupported: str = _is("LUMEN_UNSUPPORTED", "reject", one_of("reject", "ignore"), "tools in a request")
    fallback: str = _is("LUMEN_FALLBACK", "off", one_of("off", "cloud_ai"), "who answers when the gateway cannot")
    max_message_chars: int = _is("LUMEN_MAX_MESSAGE_CHARS", 32_000, integer(1), "characters sent to the gateway")
    max_body_bytes: int = _is("LUMEN_MAX_BODY_BYTES", MIB, integer(1024), "size of a request")
    max_response_bytes: int = _is("LUMEN_MAX_RESPONSE_BYTES", 8 * MIB, integer(1024), "size of a gateway answer")
    timeout_s: float = _is("LUMEN_TIMEOUT_S", 60.0, seconds(0.05), "one deadline: queue, retries and fallback")
    connect_timeout_s: float = _is("LUMEN_CONNECT_TIMEOUT_S", 3.0, seconds(0.01), "reaching the gateway")
    header_timeout_s: float = _is("LUMEN_HEADER_TIMEOUT_S", 10.0, seconds(0.05), "total time for a client's headers")
    max_concurrency: int = _is("LUMEN_MAX_CONCURRENCY", 8, integer(1, 1024), "gateway calls at once")
    max_queue: int = _is("LUMEN_MAX_QUEUE", 16, integer(0, 4096), "requests waiting for a gateway call")
    queue_timeout_s: float = _is("LUMEN_QUEUE_TIMEOUT_S", 5.0, seconds(), "how long they wait")
    breaker_failures: int = _is("LUMEN_BREAKER_FAILURES", 5, integer(1), "failures in a row that open the breaker")
    breaker_open_s: float = _is("LUMEN_BREAKER_OPEN_S", 15.0, seconds(), "how long it stays open")
    stream_commit_s: float = _is("LUMEN_STREAM_COMMIT_S", 10.0, seconds(), "a stream waits this long with its headers")
    sse_keepalive_s: float = _is("LUMEN_SSE_KEEPALIVE_S", 15.0, seconds(0.01), "between keep-alive comments")
    standby: bool = _is("LUMEN_STANDBY", default=True, parse=switch, meaning="1 = a spare worker (no effect yet)")
    max_restarts: int = _is("LUMEN_MAX_RESTARTS", 5, integer(0), "unexpected exits before giving up; 0 = never")
    restart_window_s: float = _is("LUMEN_RESTART_WINDOW_S", 60.0, seconds(0.1), "the window they are counted in")
    restart_backoff_s: float = _is("LUMEN_RESTART_BACKOFF_S", 0.25, seconds(), "delay of the second restart; 0 = none")
    watchdog_s: float = _is("LUMEN_WATCHDOG_S", 10.0, seconds(0.1), "a hang is noticed within this (no effect yet)")
    drain_s: float = _is("LUMEN_DRAIN_S", 30.0, seconds(), "time for work in flight at a stop")
    state_dir: Path = _is("LUMEN_STATE_DIR", _state_dir, path, "lock and state files")
    log_dir: Path = _is("LUMEN_LOG_DIR", _log_dir, path, "journal and logs")
    log_level: str = _is("LUMEN_LOG_LEVEL", "info", one_of("debug", "info", "warning", "error"), "how much is logged")
    log_max_bytes: int = _is("LUMEN_LOG_MAX_BYTES", 10 * MIB, integer(1024), "size at which a log rotates")
    log_keep: int = _is("LUMEN_LOG_KEEP", 5, integer(0, 1000), "rotated files kept")
    log_days: int = _is("LUMEN_LOG_DAYS", 14, integer(1), "days they are kept")
    # fmt: on
    origins: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    """Field name → where its value came from: `default`, `environment`, `option` or `sandbox`."""
    warnings: Names = field(default=(), repr=False, compare=False)

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
        return {variable: typed(value) for variable, value in values.items() if value is not None}


SETTINGS = tuple(Setting(f.name, **f.metadata) for f in fields(Settings) if f.metadata)
BY_VARIABLE = {setting.variable: setting for setting in SETTINGS}
BY_FIELD = {setting.field: setting for setting in SETTINGS}


def typed(value: object) -> str:
    """A value as it may be typed into its variable."""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)


def load(environ: Mapping[str, str] = os.environ, overrides: Mapping[str, str] | None = None) -> Settings:
    """Read all settings. `overrides` maps field names to the texts of command-line options.

    An empty variable counts as not set. Raises Fatal: 78 for a bad variable, 64 for a bad option.
    """
    options = overrides or {}
    warnings = _unknown_names(environ)
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for setting in SETTINGS:
        if setting.field in options:
            value, origin = _parsed(setting, options[setting.field], is_option=True), "option"
        elif text := environ.get(setting.variable, "").strip():
            value, origin = _parsed(setting, text, is_option=False), "environment"
        else:
            value, origin = setting.default() if callable(setting.default) else setting.default, "default"
        values[setting.field], origins[setting.field] = value, origin
    if values["fallback"] == "cloud_ai" and values["cloud_ai_url"] == NONE:
        raise Fatal("LUMEN_FALLBACK is cloud_ai, but CLOUD_AI_URL is none; set the address or unset it", Exit.CONFIG)
    return Settings(**values, origins=origins, warnings=warnings)


def _parsed(setting: Setting, text: str, *, is_option: bool) -> object:
    try:
        return setting.parse(text)
    except ValueError as wanted:
        told = "a secret of the wrong form" if setting.secret else shown(text)
        problem = f"is {told}, which is not {wanted}; mend"
        if is_option:
            raise Fatal(f"--{setting.field.replace('_', '-')} {problem} the option", Exit.USAGE) from None
        raise Fatal(f"{setting.variable} {problem} or unset the variable", Exit.CONFIG) from None


def shown(text: str) -> str:
    """The text as it may be shown: an address keeps its user name and password to itself."""
    return ascii(re.sub(r"//.*@", "//***@", text))


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
