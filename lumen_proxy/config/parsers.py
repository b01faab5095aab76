"""Parsers of settings, from text to value, each with a description of what it accepts."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar
from urllib.parse import SplitResult, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

NONE = "none"  # for an address that is not used
ADDRESS = "an http:// or https:// address with a valid host and port"
NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?")
ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?#@\[\]:]+|\[[^\]]+\])(?::([0-9]{1,5}))?")
DEFAULT_PORTS = {"http": 80, "https": 443}
ORIGINS_WITHOUT_HOST = ("null", "file://")  # sandboxed frames of any site; files in Electron
MAX_PORT = 65_535

KINDS = {  # what a parser accepts; the bounds of a number follow
    "integer": "a whole number",
    "seconds": "seconds",
    "switch": "1, 0, true, false, yes, no, on or off",
    "secret": "printable ASCII without line breaks",
    "url": "an http:// or https:// address without a user name, such as https://gateway.example",
    "url_or_none": "none, or an http:// or https:// address without a user name, such as https://gateway.example/chat",
    "gateway": "an http:// or https:// address without a user name or query, such as https://gateway.example",
    "bind": "localhost or an IP address",
    "hosts": "host names or IP addresses, separated by commas, such as lumen.example or *.lumen.example",
    "origins": "origins, separated by commas, such as https://page.example, https://*.page.example, chrome-extension://*",
    "path": "a path; ~ and ~name must be home folders that exist",
}

T = TypeVar("T")
Names = tuple[str, ...]


@dataclass(frozen=True)
class SettingParser(Generic[T]):
    """Text → value, with a description for errors, `--help` and the tables of the guides.

    `read` raises ValueError for any other text. `low` and `high` are the bounds of a number, None for no bound;
    `choices` are the texts of a choice.
    """

    read: Callable[[str], T]
    kind: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()

    def __call__(self, text: str) -> T:
        """The value. Raises ValueError with the text of `expected`."""
        try:
            return self.read(text)
        except ValueError:
            raise ValueError(self.expected) from None

    @property
    def expected(self) -> str:
        """A description of what it accepts."""
        if self.choices:
            return " or ".join(filter(None, (", ".join(self.choices[:-1]), self.choices[-1])))
        if self.low is None:
            return KINDS[self.kind]
        bounds = f"of at least {self.low:g}" if self.high is None else f"between {self.low:g} and {self.high:g}"
        return f"{KINDS[self.kind]} {bounds}"


def _number(read: Callable[[str], T], kind: str, low: float, high: float | None) -> SettingParser[T]:
    def bounded(text: str) -> T:
        value = read(text)
        if not low <= value or (high is not None and not value <= high):  # type: ignore[operator] # not > and <, so that nan is refused
            raise ValueError
        return value

    return SettingParser(bounded, kind, low, high)


def integer(low: int, high: int | None = None) -> SettingParser[int]:
    """A parser of whole numbers."""
    return _number(int, "integer", low, high)


def seconds(low: float = 0, high: float = 86_400) -> SettingParser[float]:
    """A parser of durations, by default at most a day."""
    return _number(float, "seconds", low, high)


def one_of(*choices: str) -> SettingParser[str]:
    """A parser of a choice, in upper or lower case."""

    def read(text: str) -> str:
        return choices[choices.index(text.lower())]

    return SettingParser(read, "choice", choices=choices)


def _switch(text: str) -> bool:
    if text.lower() in {"1", "true", "yes", "on"}:
        return True
    if text.lower() in {"0", "false", "no", "off"}:
        return False
    raise ValueError


def _secret(text: str) -> str | None:
    """A key that a header can contain."""
    if not text.isascii() or not text.isprintable():
        raise ValueError
    return text


def address(text: str) -> SplitResult:
    """The parts of an address to connect to. Raises ValueError with a description of what is expected."""
    try:
        parts = urlsplit(text)
        host = (parts.hostname or "").encode("idna")  # as for a look-up: no label is empty or longer than 63 letters
        reachable = host and parts.port != 0  # `port` raises ValueError if it is not a number
    except ValueError:
        reachable = False
    if not reachable or not text.isprintable() or " " in text:
        raise ValueError(f"{ADDRESS}, such as https://gateway.example")
    return parts


def _url(text: str) -> str:
    parts = address(text)
    if parts.scheme not in {"http", "https"} or "@" in parts.netloc:
        raise ValueError
    return text


def _optional_url(text: str) -> str | None:
    return _url(text)


def _url_or_none(text: str) -> str:
    return NONE if text.lower() == NONE else _url(text)


def _gateway(text: str) -> str:
    """The origin. Users write it with and without `/chat`."""
    parts = urlsplit(_url(text))
    if parts.query or parts.fragment:
        raise ValueError
    return text.rstrip("/").removesuffix("/chat").rstrip("/")


def _bind(text: str) -> str:
    return "localhost" if text.lower() == "localhost" else str(ipaddress.ip_address(text.strip("[]")))


def _name(text: str) -> str:
    """A name as in a Host header, without port and brackets."""
    try:
        return str(ipaddress.ip_address(text[1:-1] if text[:1] + text[-1:] == "[]" else text))
    except ValueError:
        pass
    try:
        name = text.removesuffix(".").encode("idna").decode()  # no label is empty or longer than 63 letters
    except ValueError:
        name = ""
    if not NAME.fullmatch(name):
        raise ValueError
    return name


def _name_or_subdomains(text: str) -> str:
    """A name, or `*.` and a name of at least two labels, which means all names below it."""
    if not text.startswith("*."):
        return _name(text)
    name = _name(text[2:])
    if "." not in name or name.rpartition(".")[2].isdigit():  # *.com, *.168.0.1
        raise ValueError
    return f"*.{name}"


def _origin(text: str) -> str:
    """An origin as browsers send it, without a path and without the default port of its scheme."""
    if text in ORIGINS_WITHOUT_HOST:
        return text
    match = ORIGIN.fullmatch(text)
    if not match:
        raise ValueError
    scheme, host, port = match.groups()
    # The names of other schemes belong to one program each: app://- is the page of a desktop program.
    whole = host == "-" or (host == "*" and scheme not in DEFAULT_PORTS and not port)
    name = host if whole else _name_or_subdomains(host)
    if port and int(port) > MAX_PORT:
        raise ValueError
    host = f"[{name}]" if ":" in name else name
    return f"{scheme}://{host}" + (f":{port}" if port and DEFAULT_PORTS.get(scheme) != int(port) else "")


def _each(parse: Callable[[str], str]) -> Callable[[str], Names]:
    return lambda text: tuple(parse(name.strip()) for name in text.lower().split(",") if name.strip())


def _path(text: str) -> Path:
    """An absolute path; `~` is the home folder of the user, `~name` that of another user, which must exist."""
    given = Path(text)
    if text.startswith("~") and not _is_home(given.parts[0]):
        raise ValueError
    return given.expanduser().absolute()


def _is_home(name: str) -> bool:
    home = os.path.expanduser(name)  # noqa: PTH111 - pathlib raises for an unknown name
    return os.path.isabs(home) and (name == "~" or os.path.isdir(home))  # noqa: PTH112, PTH117 - isdir never raises


switch = SettingParser(_switch, "switch")
secret = SettingParser(_secret, "secret")
url = SettingParser(_optional_url, "url")
url_or_none = SettingParser(_url_or_none, "url_or_none")
gateway = SettingParser(_gateway, "gateway")
bind = SettingParser(_bind, "bind")
host_names = SettingParser(_each(_name_or_subdomains), "hosts")
web_origins = SettingParser(_each(_origin), "origins")
path = SettingParser(_path, "path")
