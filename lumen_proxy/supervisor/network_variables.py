"""The variables that decide how an address is reached. The libraries that make connections read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
NETWORK = (*PROXIES, *CERTIFICATES)


def one_name(variable: str) -> str:
    """The name by which a variable is recorded: `HTTPS_PROXY` and `https_proxy` are one."""
    return variable.lower() if variable.lower() in PROXIES else variable


def is_proxy(variable: str) -> bool:
    """True if the value may hold a user name and a password, also without a scheme before them."""
    return one_name(variable) in PROXIES


def network(environ: Mapping[str, str]) -> dict[str, str]:
    """Those that are set, by their recorded names. A name in lower case wins, even if it is empty."""
    found = {one_name(name): environ[name] for name in sorted(environ, key=str.islower) if one_name(name) in NETWORK}
    return {name: text for name, text in found.items() if text.strip()}


def with_network(environ: Mapping[str, str], wanted: Mapping[str, str | None]) -> dict[str, str]:
    """The environment with exactly these of them, instead of its own."""
    others = {name: text for name, text in environ.items() if one_name(name) not in NETWORK}
    return others | {name: text for name, text in wanted.items() if text}
