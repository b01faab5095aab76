"""What a setting may hold: parsers from text, each of which raises ValueError whose text says what is wanted."""

from __future__ import annotations

import ipaddress
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

NONE = "none"  # an address that is switched off
ADDRESS = "an http:// or https:// address with a valid host and port"
NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?")
ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?#@\[\]:]+|\[[^\]]+\])(?::([0-9]{1,5}))?")
DEFAULT_PORTS = {"http": 80, "https": 443}
MAX_PORT = 65_535

Names = tuple[str, ...]


def integer(low: int, high: int | None = None) -> Callable[[str], int]:
    """A parser of whole numbers."""

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


def seconds(low: float = 0, high: float = 86_400) -> Callable[[str], float]:
    """A parser of durations: a day at most, never nan."""

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


def one_of(*words: str) -> Callable[[str], str]:
    """A parser of words, in any case."""

    def parse(text: str) -> str:
        if text.lower() not in words:
            raise ValueError("one of: " + ", ".join(words))
        return text.lower()

    return parse


def switch(text: str) -> bool:
    """On or off."""
    if text.lower() in {"1", "true", "yes", "on"}:
        return True
    if text.lower() in {"0", "false", "no", "off"}:
        return False
    raise ValueError("1 or 0")


def secret(text: str) -> str | None:
    """A key, as it can stand in a header."""
    if not text.isascii() or not text.isprintable():
        raise ValueError("printable ASCII without line breaks")
    return text


def address(text: str) -> SplitResult:
    """The parts of an address that a connection can be made to. Raises ValueError, saying what is wanted."""
    try:
        parts = urlsplit(text)
        host = (parts.hostname or "").encode("idna")  # as it is looked up: no label is empty or longer than 63 letters
        reachable = host and parts.port != 0  # a port that is not a number is noticed only when asked for
    except ValueError:
        reachable = False
    if not reachable or not text.isprintable() or " " in text:
        raise ValueError(f"{ADDRESS}, such as https://gateway.example")
    return parts


def url(text: str) -> str:
    """An http or https address."""
    parts = address(text)
    if parts.scheme not in {"http", "https"} or "@" in parts.netloc:
        raise ValueError(f"{ADDRESS} without a user name, such as https://gateway.example")
    return text


def url_or_none(text: str) -> str:
    """An address, or `none` for one that is switched off."""
    return NONE if text.lower() == NONE else url(text)


def gateway(text: str) -> str:
    """Both forms seen in the field, with and without `/chat`, mean the same origin."""
    parts = urlsplit(url(text))
    if parts.query or parts.fragment:
        raise ValueError("an address without a query, such as https://gateway.example")
    return text.rstrip("/").removesuffix("/chat").rstrip("/")


def bind(text: str) -> str:
    """Where to listen."""
    if text.lower() == "localhost":
        return "localhost"
    try:
        return str(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        raise ValueError("localhost or a literal IP address") from None


def _name(text: str) -> str:
    """As `Host` has it, without port and brackets, since those are not compared."""
    try:
        return str(ipaddress.ip_address(text[1:-1] if text[:1] + text[-1:] == "[]" else text))
    except ValueError:
        pass
    try:
        name = text.removesuffix(".").encode("idna").decode()  # no label is empty or longer than 63 letters
    except ValueError:
        name = ""
    if not NAME.fullmatch(name):
        raise ValueError("a list of names without scheme, port, path or *, such as lumen.example")
    return name


def _origin(text: str) -> str:
    """As browsers send it: no path, and no port that its scheme implies."""
    wanted = "a list of origins in full, such as https://page.example; null, file:// and * would let in any page"
    match = ORIGIN.fullmatch(text)
    try:
        scheme, host, port = match.groups() if match else ("", "", "")
        name = host if host == "-" else _name(host)  # app://- is the page of a desktop program
    except ValueError:
        raise ValueError(wanted) from None
    if port and int(port) > MAX_PORT:
        raise ValueError(wanted)
    host = f"[{name}]" if ":" in name else name
    return f"{scheme}://{host}" + (f":{port}" if port and DEFAULT_PORTS.get(scheme) != int(port) else "")


def _each(parse: Callable[[str], str]) -> Callable[[str], Names]:
    return lambda text: tuple(parse(name.strip()) for name in text.lower().split(",") if name.strip())


host_names, web_origins = _each(_name), _each(_origin)


def path(text: str) -> Path:
    """An absolute path; `~` is the home of the user, `~name` that of another user, which must exist."""
    given = Path(text)
    if text.startswith("~") and not _is_home(given.parts[0]):
        raise ValueError("a path that is absolute or below a home folder that exists")
    return given.expanduser().absolute()


def _is_home(name: str) -> bool:
    home = os.path.expanduser(name)  # noqa: PTH111 - returns what it does not know, where pathlib raises
    return os.path.isabs(home) and (name == "~" or os.path.isdir(home))  # noqa: PTH112, PTH117 - isdir never raises
