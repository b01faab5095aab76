"""Which Host and Origin headers are served. See docs/adr/0009-hosts-origins-and-first-bytes.md."""

from __future__ import annotations

import ipaddress
import math
import re
import socket
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

from lumen_proxy.wire.host_names import host_name, is_loopback

if TYPE_CHECKING:
    from collections.abc import Iterable

PAGE_OF_A_HOST = re.compile(r"https?://(.+)")
ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - to bind, not to be called by
ANY_LABELS = "[a-z0-9_.-]+"  # what * stands for in a declared name: no port, no user name, no path
NAMES_KEPT_S = 5.0  # to ask the system takes 0.2 ms and more; a new address is served this much later
# What a page may read of a response beyond the names that the Fetch standard always shows it.
EXPOSED = "x-request-id, x-should-retry, retry-after, retry-after-ms, openai-processing-ms, allow, www-authenticate"


class AllowedHosts:
    """The names by which this proxy may be called."""

    def __init__(self, bind: str, declared: Iterable[str]) -> None:
        self._on_the_network = not is_loopback(bind)
        own = (bind,) if self._on_the_network and bind not in ANY_ADDRESS else ()
        self._names = _Patterns((*own, *declared))
        self._machine: tuple[float, frozenset[str]] = (-math.inf, frozenset())

    def allows(self, header: str) -> bool:
        """Whether a Host header names this proxy."""
        name = host_name(header)
        if name is None:
            return False
        if is_loopback(name) or self._names.match(name):
            return True
        return self._on_the_network and name in self._names_of_the_machine()

    def _names_of_the_machine(self) -> frozenset[str]:
        at, names = self._machine
        if monotonic() - at >= NAMES_KEPT_S:
            names = machine_names()
            self._machine = (monotonic(), names)
        return names

    def describe(self) -> str:
        """The names, for people."""
        own = sorted(self._names_of_the_machine()) if self._on_the_network else []
        return ", ".join(dict.fromkeys(["loopback", *own, *self._names.texts]))


class AllowedOrigins:
    """The web pages that may send requests: those of loopback origins, and those that are declared."""

    def __init__(self, declared: Iterable[str]) -> None:
        self._declared = _Patterns(declared)

    def allows(self, origin: str) -> bool:
        """Whether pages of this origin may send requests."""
        text = origin.lower()
        page = PAGE_OF_A_HOST.fullmatch(text)
        name = host_name(page[1]) if page else None
        return bool(name and is_loopback(name)) or self._declared.match(text)

    def headers(self, origin: str | None) -> dict[str, str]:
        """What a response needs so that the page can read it; empty when it may not."""
        if origin is None or not self.allows(origin):
            return {}
        return {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": EXPOSED}

    def describe(self) -> str:
        """The origins, for people."""
        return ", ".join(["loopback", *self._declared.texts])


def summary(bind: str, hosts: Iterable[str], origins: Iterable[str]) -> str:
    """One line about what is allowed, for the start of the proxy."""
    return f"allowed hosts: {AllowedHosts(bind, hosts).describe()}; web pages: {AllowedOrigins(origins).describe()}"


class _Patterns:
    """Texts, in which ``*`` stands for one or more labels of a name."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.texts = tuple(texts)
        each = (re.escape(text).replace(r"\*", ANY_LABELS) for text in self.texts)
        self._any = re.compile("|".join(each) or r"(?!)")

    def match(self, text: str) -> bool:
        return self._any.fullmatch(text) is not None


def machine_names() -> frozenset[str]:
    """The addresses and names of this machine, as they stand in a Host header, as far as the system tells them."""
    names: set[str] = set()
    for source in (_own_addresses, _own_names):
        with suppress(OSError, ValueError):
            names |= source()
    return frozenset(names)


def _own_addresses() -> set[str]:
    import psutil  # noqa: PLC0415 - only for a proxy that is reached from the network

    families = {socket.AF_INET, socket.AF_INET6}
    texts = [one.address for interface in psutil.net_if_addrs().values() for one in interface if one.family in families]
    addresses = (ipaddress.ip_address(text.partition("%")[0]) for text in texts)
    return {str(address) for address in addresses if not address.is_loopback}


def _own_names() -> set[str]:
    name = socket.gethostname().lower()
    return {name, name.partition(".")[0] + ".local"} if name else set()
