"""Host names, and which Host and Origin headers are allowed. See docs/adr/0009-hosts-origins-and-first-bytes.md."""

from __future__ import annotations

import ipaddress
import math
import re
import socket
from contextlib import suppress
from functools import lru_cache
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]@/?#,\s]+)(:[0-9]{0,5})?", re.IGNORECASE | re.ASCII)
PAGE_OF_A_HOST = re.compile(r"https?://(.+)")
ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - addresses to bind, which no Host header has
ANY_LABELS = "[a-z0-9_.-]+"  # for * in a declared name: no port, no user name, no path
NAMES_KEPT_S = 5.0  # reading them takes 0.2 ms and more; a new address is allowed after this time at most
# The headers that a page may read, in addition to those that the Fetch standard always allows.
EXPOSED = "x-request-id, x-should-retry, retry-after, retry-after-ms, openai-processing-ms, allow, www-authenticate"


@lru_cache(maxsize=64)  # a client sends the same name each time
def is_loopback(host: str) -> bool:
    """Whether a host name or literal address means this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def host_name(header: str) -> str | None:
    """The name in a Host header, in lower case, without port, brackets and final dot; None if it is malformed."""
    match = HOST.fullmatch(header)
    return match[1].strip("[]").lower().removesuffix(".") if match else None


class AllowedHosts:
    """The host names that requests to this proxy may have."""

    def __init__(self, bind: str, declared: Iterable[str]) -> None:
        self._is_on_network = not is_loopback(bind)
        own = (bind,) if self._is_on_network and bind not in ANY_ADDRESS else ()
        self._names = _Patterns((*own, *declared))
        self._machine: tuple[float, frozenset[str]] = (-math.inf, frozenset())

    def allows(self, header: str) -> bool:
        """Whether a Host header names this proxy."""
        name = host_name(header)
        if name is None:
            return False
        if is_loopback(name) or self._names.match(name):
            return True
        return self._is_on_network and name in self._names_of_the_machine()

    def _names_of_the_machine(self) -> frozenset[str]:
        at, names = self._machine
        if monotonic() - at >= NAMES_KEPT_S:
            names = machine_names()
            self._machine = (monotonic(), names)
        return names

    def describe(self) -> str:
        """The names as text."""
        own = sorted(self._names_of_the_machine()) if self._is_on_network else []
        return ", ".join(dict.fromkeys(["loopback", *own, *self._names.texts]))


class AllowedOrigins:
    """The origins whose pages may send requests: loopback origins, and those that are declared."""

    def __init__(self, declared: Iterable[str]) -> None:
        self._declared = _Patterns(declared)

    def allows(self, origin: str) -> bool:
        """Whether pages of this origin may send requests."""
        text = origin.lower()
        page = PAGE_OF_A_HOST.fullmatch(text)
        name = host_name(page[1]) if page else None
        return bool(name and is_loopback(name)) or self._declared.match(text)

    def headers(self, origin: str | None) -> dict[str, str]:
        """The headers that let the page read a response; empty if it may not."""
        if origin is None or not self.allows(origin):
            return {}
        return {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": EXPOSED}

    def describe(self) -> str:
        """The origins as text."""
        return ", ".join(["loopback", *self._declared.texts])


def summary(bind: str, hosts: Iterable[str], origins: Iterable[str]) -> str:
    """The line that the start of the proxy prints."""
    return f"allowed hosts: {AllowedHosts(bind, hosts).describe()}; web pages: {AllowedOrigins(origins).describe()}"


class _Patterns:
    """Patterns of names, in which ``*`` is one or more labels."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.texts = tuple(texts)
        each = (re.escape(text).replace(r"\*", ANY_LABELS) for text in self.texts)
        self._any = re.compile("|".join(each) or r"(?!)")

    def match(self, text: str) -> bool:
        return self._any.fullmatch(text) is not None


def machine_names() -> frozenset[str]:
    """The addresses and names of this machine as a Host header has them, as far as they can be read."""
    names: set[str] = set()
    for source in (_machine_addresses, _machine_hostnames):
        with suppress(OSError, ValueError):
            names |= source()
    return frozenset(names)


def _machine_addresses() -> set[str]:
    import psutil  # noqa: PLC0415 - needed only if the proxy is reached from the network

    families = {socket.AF_INET, socket.AF_INET6}
    entries = [entry for interface in psutil.net_if_addrs().values() for entry in interface]
    texts = [entry.address.partition("%")[0] for entry in entries if entry.family in families]
    return {text for text in map(str, map(ipaddress.ip_address, texts)) if not is_loopback(text)}


def _machine_hostnames() -> set[str]:
    name = socket.gethostname().lower()
    return {name, name.partition(".")[0] + ".local"} if name else set()
