"""The rules of `*_PROXY` and `NO_PROXY`, for all connections of this program.

`http_proxy`, `https_proxy` and `all_proxy` name an `http://` proxy; `no_proxy` lists the exceptions: names with their
subdomains, addresses, networks such as 10.0.0.0/8, each with an optional `:port`, or `*`. Lower-case variables have
priority. An address of this machine is an exception, too.
"""

from __future__ import annotations

import base64
import ipaddress
import os
import socket
import sys
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote

from lumen_proxy.config.parsers import DEFAULT_PORTS, address
from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.masking import mask
from lumen_proxy.wire.allowed_hosts import is_loopback

if TYPE_CHECKING:
    from collections.abc import Mapping

IPV6 = 6


class UnsupportedProxy(Fatal):
    """The environment names a proxy of an unsupported kind, such as SOCKS."""


def proxy_for(url: SplitResult, environ: Mapping[str, str] = os.environ) -> SplitResult | None:
    """The proxy for this address, or None. Raises Fatal (78) if it cannot be used."""
    host = (url.hostname or "").removesuffix(".")
    if is_local(host):
        return None
    variables = environment(environ)
    variable = next((name for name in (f"{url.scheme}_proxy", "all_proxy") if variables.get(name)), None)
    if variable is None:
        return _system_proxy(url, host) if not variables else None
    if is_excepted(host, url.port or DEFAULT_PORTS[url.scheme], variables.get("no_proxy", "")):
        return None
    name = variable if variable in environ else variable.upper()
    remedies = ("Fix or unset it", f"unset {name}, or add {host} to no_proxy")
    return _parsed(name, variables[variable], remedies)


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """All `*_proxy` variables by their lower-case names. A lower-case one has priority, even if it is empty."""
    names = sorted((name for name in environ if name.lower().endswith("_proxy")), key=str.islower)
    return {name.lower(): environ[name].strip() for name in names}


def is_local(host: str) -> bool:
    """Whether it is an address of this machine: a loopback, or one that a socket can be bound to."""
    if is_loopback(host):
        return True
    try:
        literal = ipaddress.ip_address(host)
        family = socket.AF_INET6 if literal.version == IPV6 else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((host, 0))
    except (ValueError, OSError):
        return False
    return True


def is_excepted(host: str, port: int, no_proxy: str) -> bool:
    """Whether an entry of `no_proxy` covers this host and port."""
    return any(_covers(entry.lower(), host.lower(), port) for entry in no_proxy.replace(",", " ").split())


def _covers(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    name, only_port = _split(entry)
    if only_port not in {"", str(port)}:
        return False
    try:
        literal = ipaddress.ip_address(host)
    except ValueError:
        name = name.removeprefix("*").strip(".")
        return bool(name) and f".{host}".endswith(f".{name}")
    try:
        return literal in ipaddress.ip_network(name, strict=False)
    except ValueError:
        return False


def _split(entry: str) -> tuple[str, str]:
    """Host and port of an entry; an IPv6 address with a port has brackets."""
    if entry.startswith("["):
        name, _, rest = entry[1:].partition("]")
        return name, rest.removeprefix(":")
    name, _, port = entry.rpartition(":")
    return (name, port) if port.isdecimal() and name and ":" not in name else (entry, "")


def _parsed(source: str, text: str, remedies: tuple[str, str]) -> SplitResult:
    """The proxy that `source` names. `remedies` are for an invalid address, and for an unsupported kind."""
    text = text if "://" in text else f"http://{text}"
    scheme = text.partition("://")[0].lower()
    if scheme != "http":
        kind = "SOCKS proxies are" if scheme.startswith("socks") else f"{scheme}:// proxies are"
        remedy = f"name an http:// proxy, {remedies[1]}"
        raise UnsupportedProxy(f"{source} is {mask(text)!a}, but {kind} not supported; {remedy}", Exit.CONFIG)
    try:
        return address(text)
    except ValueError as expected:
        problem = f"{source}={mask(text)!a} is invalid: expected {expected}. {remedies[0]}"
        raise Fatal(problem, Exit.CONFIG) from None


def _system_proxy(url: SplitResult, host: str) -> SplitResult | None:
    """The proxy in the system settings of Windows and macOS, used if no variable is set."""
    if not sys.platform.startswith(("win32", "darwin")):
        return None
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415 - needed on these systems only

    found = getproxies().get(url.scheme)
    if not found or proxy_bypass(host):
        return None
    place = "in the proxy settings of the system"
    remedies = (f"Fix or remove it {place}", f"remove it {place}, or add {host} to their exceptions")
    return _parsed(f"system proxy for {url.scheme}", found, remedies)


def authorization(proxy: SplitResult) -> dict[str, str]:
    """The header for a proxy whose address has a user and a password."""
    if not proxy.username:
        return {}
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}".encode()
    return {"Proxy-Authorization": f"Basic {base64.b64encode(pair).decode()}"}


@lru_cache(maxsize=8)
def host_and_port(proxy: SplitResult) -> str:
    """Host and port of a proxy, without its user and password."""
    host = proxy.hostname or ""
    return f"{f'[{host}]' if ':' in host else host}:{proxy.port or DEFAULT_PORTS['http']}"
