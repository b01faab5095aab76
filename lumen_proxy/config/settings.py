"""The table of all settings: variable, default, parser and meaning.

Command-line options override the environment. A bad value ends the program (78) with the name of the variable and the
remedy, and so does a misspelt name that begins with LUMEN_. Other misspelt names are warnings.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from lumen_proxy.config.parsers import (
    MAX_PORT,
    NONE,
    Names,
    SettingParser,
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
from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.masking import mask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

GATEWAY_URL = "https://lumen-gateway-x4qvsargwa-uc.a.run.app"
CLOUD_AI_URL = "https://ion-api-64076350717.us-central1.run.app/chat"
SANDBOX = "sandbox"  # the name of the mode with embedded channels, and the origin of both addresses in it

T = TypeVar("T")


def _state_dir() -> Path:
    return _user_dir("user_state_dir")


def _log_dir() -> Path:
    return _user_dir("user_log_dir")


def _user_dir(kind: str) -> Path:
    """A folder of this user, by the rules of the system. Raises Fatal (78) if the home folder is unknown."""
    import platformdirs  # noqa: PLC0415 - not needed if the variables are set

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
    """One row of the table."""

    field: str
    variable: str
    default: Any
    parse: SettingParser[Any]
    meaning: str
    secret: bool

    @property
    def is_address(self) -> bool:
        """Whether the value is an address, whose query may be a secret."""
        return self.parse.kind in {"url", "url_or_none", "gateway"}

    @property
    def shown_default(self) -> str:
        """The default as a user types it, or a description."""
        if callable(self.default):
            return "chosen by the system"
        return "none" if self.default in (None, ()) else to_text(self.default)


def _is(
    variable: str, default: T | Callable[[], T], parse: SettingParser[T], meaning: str, *, secret: bool = False
) -> T:
    """A field of `Settings` with its row; mypy checks the types of default and parser."""
    row = {"variable": variable, "default": default, "parse": parse, "meaning": meaning, "secret": secret}
    made: T = field(repr=not secret, metadata=row)
    return made


MIB = 1024 * 1024


# fmt: off
@dataclass(frozen=True)
class Settings:
    """All values. Times are in seconds, sizes in bytes. The repr contains no secrets."""

    gateway_url: str = _is("LUMEN_GATEWAY_URL", GATEWAY_URL, gateway, "the Lumen Gateway, with or without /chat")
    host: str = _is("PROXY_HOST", "localhost", bind, "address to listen on; localhost is 127.0.0.1 and ::1")
    port: int = _is("PROXY_PORT", 8080, integer(0, MAX_PORT), "port to listen on; 0 = any free port")
    api_key: str | None = _is("PROXY_API_KEY", None, secret, "key that clients must send", secret=True)
    cloud_ai_url: str = _is("CLOUD_AI_URL", CLOUD_AI_URL, url_or_none, "chat address of Cloud AI; none = not used")
    cloud_ai_api_key: str | None = _is("CLOUD_AI_API_KEY", None, secret, "key for Cloud AI", secret=True)
    slack_webhook_url: str | None = _is("SLACK_WEBHOOK_URL", None, url, "Slack webhook for alerts", secret=True)
    webhook_url: str | None = _is("LUMEN_WEBHOOK_URL", None, url, "webhook for alerts as JSON", secret=True)
    allowed_hosts: Names = _is("LUMEN_ALLOWED_HOSTS", (), host_names, "Host names accepted besides loopback")
    allowed_origins: Names = _is("LUMEN_ALLOWED_ORIGINS", (), web_origins, "Origins accepted besides loopback pages")
    model_strict: bool = _is("LUMEN_MODEL_STRICT", default=False, parse=switch, meaning="1 = 404 for an unknown model")
    history: str = _is("LUMEN_HISTORY", "fold", one_of("fold", "last"), "fold = with earlier turns, last = without")
    unsupported: str = _is("LUMEN_UNSUPPORTED", "reject", one_of("reject", "ignore"),
                           "forced tools, JSON mode, images: reject or ignore")
    fallback: str = _is("LUMEN_FALLBACK", "off", one_of("off", "cloud_ai"), "used when the gateway cannot answer")
    max_message_chars: int = _is("LUMEN_MAX_MESSAGE_CHARS", 32_000, integer(1), "most characters sent to the gateway")
    max_body_bytes: int = _is("LUMEN_MAX_BODY_BYTES", MIB, integer(1024), "largest request")
    max_response_bytes: int = _is("LUMEN_MAX_RESPONSE_BYTES", 8 * MIB, integer(1024), "largest gateway response")
    timeout_s: float = _is("LUMEN_TIMEOUT_S", 60.0, seconds(0.05), "one deadline for queue, retries and fallback")
    connect_timeout_s: float = _is("LUMEN_CONNECT_TIMEOUT_S", 3.0, seconds(0.01), "time to connect to the gateway")
    header_timeout_s: float = _is("LUMEN_HEADER_TIMEOUT_S", 10.0, seconds(0.05), "time to receive a client's headers")
    max_concurrency: int = _is("LUMEN_MAX_CONCURRENCY", 8, integer(1, 1024), "gateway calls at once")
    max_queue: int = _is("LUMEN_MAX_QUEUE", 16, integer(0, 4096), "requests that may wait for a gateway call")
    queue_timeout_s: float = _is("LUMEN_QUEUE_TIMEOUT_S", 5.0, seconds(), "time to wait for a gateway call")
    breaker_failures: int = _is("LUMEN_BREAKER_FAILURES", 5, integer(1), "failures in a row that open the breaker")
    breaker_open_s: float = _is("LUMEN_BREAKER_OPEN_S", 15.0, seconds(), "time that the breaker stays open")
    stream_commit_s: float = _is("LUMEN_STREAM_COMMIT_S", 10.0, seconds(), "time to wait before sending stream headers")
    sse_keepalive_s: float = _is("LUMEN_SSE_KEEPALIVE_S", 15.0, seconds(0.01), "time between keep-alive comments")
    standby: bool = _is("LUMEN_STANDBY", default=True, parse=switch, meaning="1 = keep a standby worker")
    max_restarts: int = _is("LUMEN_MAX_RESTARTS", 5, integer(0), "unexpected exits before giving up; 0 = never")
    restart_window_s: float = _is("LUMEN_RESTART_WINDOW_S", 60.0, seconds(0.1), "window in which exits are counted")
    restart_backoff_s: float = _is("LUMEN_RESTART_BACKOFF_S", 0.25, seconds(), "delay of the second restart; 0 = none")
    watchdog_s: float = _is("LUMEN_WATCHDOG_S", 10.0, seconds(0.5), "time in which a hung worker is replaced")
    drain_s: float = _is("LUMEN_DRAIN_S", 30.0, seconds(), "time for requests in progress when the proxy stops")
    state_dir: Path = _is("LUMEN_STATE_DIR", _state_dir, path, "folder of lock and state files")
    log_dir: Path = _is("LUMEN_LOG_DIR", _log_dir, path, "folder of journal and logs")
    log_level: str = _is("LUMEN_LOG_LEVEL", "info", one_of("debug", "info", "warning", "error"), "lowest level logged")
    log_max_bytes: int = _is("LUMEN_LOG_MAX_BYTES", 10 * MIB, integer(1024), "size at which a log file is rotated")
    log_keep: int = _is("LUMEN_LOG_KEEP", 5, integer(0, 1000), "rotated log files that are kept")
    log_days: int = _is("LUMEN_LOG_DAYS", 14, integer(1), "days that rotated log files are kept")
    # fmt: on
    origins: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    """Field name → origin of its value: `default`, `environment` or `option`."""
    warnings: Names = field(default=(), repr=False, compare=False)
    sandboxed: bool = field(default=False, compare=False)
    """Whether an embedded gateway and Cloud AI replace the configured ones."""
    outside: Settings | None = field(default=None, repr=False, compare=False)
    """In a sandbox: the settings with the configured addresses, for a restart without it."""

    def in_sandbox(self) -> Settings:
        """The same settings in sandbox mode."""
        return replace(self, sandboxed=True)

    def with_embedded(self, gateway_url: str, cloud_ai_url: str) -> Settings:
        """The same settings with the addresses of the sandbox; `outside` has the configured ones."""
        return replace(self.in_sandbox(), gateway_url=gateway_url, cloud_ai_url=cloud_ai_url, outside=self)

    def is_given(self, setting: Setting) -> bool:
        """Whether an option or a variable set the value."""
        return self.origins.get(setting.field) in {"option", "environment"}

    def given_as_options(self, names: Iterable[str]) -> Settings:
        """The same settings; these fields were options of the command that started this process."""
        return replace(self, origins={**self.origins, **dict.fromkeys(names, "option")})

    def environ(self) -> dict[str, str]:
        """The settings as variables for a child process, which `load` reads again."""
        values = {setting.variable: getattr(self, setting.field) for setting in SETTINGS}
        return {variable: to_text(value) for variable, value in values.items() if value is not None}


SETTINGS = tuple(Setting(f.name, **f.metadata) for f in fields(Settings) if f.metadata)
BY_VARIABLE = {setting.variable: setting for setting in SETTINGS}
BY_FIELD = {setting.field: setting for setting in SETTINGS}


def to_text(value: object) -> str:
    """A value as the text of its variable."""
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
        problem = "LUMEN_FALLBACK='cloud_ai' needs CLOUD_AI_URL, which is none"
        raise Fatal(f"{problem}. Set CLOUD_AI_URL or unset LUMEN_FALLBACK", Exit.CONFIG)
    return Settings(**values, origins=origins, warnings=warnings)


def _parsed(setting: Setting, text: str, *, is_option: bool) -> object:
    try:
        return setting.parse(text)
    except ValueError as expected:
        name = f"--{setting.field.replace('_', '-')}" if is_option else setting.variable
        value = "" if setting.secret else f"={mask(text)!a}"
        remedy, status = ("Fix the option", Exit.USAGE) if is_option else ("Fix or unset it", Exit.CONFIG)
        raise Fatal(f"{name}{value} is invalid: expected {expected}. {remedy}", status) from None


OWN_PREFIX = "LUMEN_"
PREFIXES = (OWN_PREFIX, "PROXY_", "CLOUD_AI_", "SLACK_")  # other programs use the last three, too


def _unknown_names(environ: Mapping[str, str]) -> tuple[str, ...]:
    """A warning for each unknown name. Raises Fatal (78) for a misspelt name that begins with LUMEN_."""
    warnings = []
    for name in sorted(set(environ) - set(BY_VARIABLE)):
        prefix = next(filter(name.startswith, PREFIXES), None)
        if prefix is None:
            continue
        known = [variable for variable in BY_VARIABLE if variable.startswith(prefix)]
        meant = next((variable for variable in known if _is_misspelt(name, variable, prefix)), None)
        if meant and prefix == OWN_PREFIX:
            raise Fatal(f"{name} is not a setting; did you mean {meant}? Rename or unset it", Exit.CONFIG)
        longer = [variable for variable in known if variable.startswith(f"{name}_")]
        if meant or len(longer) == 1:
            warnings.append(f"{name} is not a setting and has no effect; did you mean {meant or longer[0]}?")
        elif prefix == OWN_PREFIX:
            warnings.append(f"{name} is not a setting of lumen-proxy and has no effect; see: lumen-proxy config")
    return tuple(warnings)


TYPO_DISTANCE = 2  # letters inserted, dropped, changed, or swapped with the next one
SHORT_NAME = 4  # letters after the prefix: with two changes PROXY_PORT is PROXY_PASS, a name of other programs


def _is_misspelt(name: str, variable: str, prefix: str) -> bool:
    most = TYPO_DISTANCE if len(variable) > len(prefix) + SHORT_NAME else 1
    return abs(len(name) - len(variable)) <= most and _distance(name, variable) <= most


def _distance(a: str, b: str) -> int:
    """Levenshtein distance in which a swap of two adjacent letters is one step."""
    rows = [list(range(len(b) + 1))]
    for i, letter in enumerate(a, 1):
        row = [i]
        for j, other in enumerate(b, 1):
            steps = min(rows[-1][j] + 1, row[j - 1] + 1, rows[-1][j - 1] + (letter != other))
            if i > 1 and j > 1 and (letter, a[i - 2]) == (b[j - 2], other):
                steps = min(steps, rows[-2][j - 2] + 1)
            row.append(steps)
        rows.append(row)
    return rows[-1][-1]
