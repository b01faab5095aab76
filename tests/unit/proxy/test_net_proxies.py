"""The rules of `*_PROXY` and `NO_PROXY`."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import psutil
import pytest

from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.net.proxies import UnsupportedProxy, is_excepted, is_local, proxy_for

PROXY = "http://127.0.0.1:3128"
VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")

CHOICES: list[tuple[str, dict[str, str], bool]] = [
    ("http://a.example", {}, False),
    ("http://a.example", {"http_proxy": PROXY}, True),
    ("http://a.example", {"HTTP_PROXY": PROXY}, True),
    ("http://a.example", {"HTTP_PROXY": PROXY, "http_proxy": ""}, False),
    ("http://a.example", {"http_proxy": "127.0.0.1:3128"}, True),
    ("http://a.example", {"https_proxy": PROXY}, False),
    ("https://a.example", {"HTTPS_PROXY": PROXY}, True),
    ("https://a.example", {"ALL_PROXY": PROXY}, True),
    ("https://a.example", {"https_proxy": PROXY, "all_proxy": "socks5://127.0.0.1:1"}, True),
    ("https://a.example", {"all_proxy": "socks5://127.0.0.1:1", "no_proxy": "a.example"}, False),
    ("http://localhost:1", {"all_proxy": PROXY}, False),
    ("http://localhost.:1", {"all_proxy": PROXY}, False),
    ("http://127.0.0.9", {"all_proxy": "socks5://127.0.0.1:1"}, False),
    ("http://[::1]:1", {"all_proxy": PROXY}, False),
    ("http://localhost.example", {"all_proxy": PROXY}, True),
    ("http://198.51.100.1", {"all_proxy": PROXY}, True),
]


@pytest.mark.parametrize(("url", "variables", "used"), CHOICES)
def test_which_variable_counts(
    url: str,
    variables: dict[str, str],
    used: bool,  # noqa: FBT001 - a row
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The variable of the scheme before all_proxy, lower case first, and none for this machine."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = proxy_for(urlsplit(url))
    assert (found and found.geturl()) == (PROXY if used else None)


EXCEPTIONS = [
    ("a.example", 80, "a.example", True),
    ("A.Example", 80, "a.EXAMPLE", True),
    ("b.a.example", 80, "a.example", True),
    ("b.a.example", 80, ".a.example", True),
    ("b.a.example", 80, "*.a.example", True),
    ("ba.example", 80, "a.example", False),
    ("a.example", 80, "b.example, other a.example", True),
    ("a.example", 80, "*", True),
    ("a.example", 80, "", False),
    ("a.example", 80, ".", False),
    ("a.example", 8080, "a.example:8080", True),
    ("a.example", 80, "a.example:8080", False),
    ("10.1.2.3", 80, "10.0.0.0/8", True),
    ("11.1.2.3", 80, "10.0.0.0/8", False),
    ("10.1.2.3", 80, "10.1.2.3", True),
    ("10.1.2.3", 8080, "10.1.2.3:8080", True),
    ("10.1.2.3", 80, "10.1.2.3:8080", False),
    ("10.1.2.3", 80, "10.1.2.0/99", False),
    ("10.example", 80, "10.0.0.0/8", False),
    ("fd00::1", 80, "fd00::/8", True),
    ("fd00::1", 80, "[fd00::1]", True),
    ("fd00::1", 80, "[fd00::1]:80", True),
    ("fd00::1", 81, "[fd00::1]:80", False),
    ("fd00::1", 80, "10.0.0.0/8", False),
]


@pytest.mark.parametrize(("host", "port", "no_proxy", "excepted"), EXCEPTIONS)
def test_no_proxy(host: str, port: int, no_proxy: str, excepted: bool) -> None:  # noqa: FBT001 - a row
    """Names with their subdomains, addresses, networks, ports and `*`, separated by commas or spaces."""
    assert is_excepted(host, port, no_proxy) is excepted


@pytest.mark.parametrize("kind", ["socks5", "socks5h", "socks4", "SOCKS5", "https"])
@pytest.mark.parametrize("variable", ["ALL_PROXY", "https_proxy"])
def test_an_unsupported_kind(kind: str, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends the program (78) with a line that has variable, kind and remedy, but no password."""
    monkeypatch.setenv(variable, f"{kind}://me:s3cret@127.0.0.1:1080")
    line = rf"^{variable} is .* not supported; .*http://.* unset {variable}"
    with pytest.raises(UnsupportedProxy, match=line) as refused:
        proxy_for(urlsplit("https://gateway.invalid"))
    assert refused.value.exit_status is Exit.CONFIG
    assert "s3cret" not in str(refused.value)


def test_the_settings_of_the_system_count_without_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows and macOS the proxy of the system is used if no variable is set."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.setattr("urllib.request.getproxies", lambda: {"http": PROXY})
    monkeypatch.setattr("urllib.request.proxy_bypass", lambda host: host == "b.example")
    assert proxy_for(urlsplit("http://a.example")) == urlsplit(PROXY)
    assert proxy_for(urlsplit("http://b.example")) is None
    monkeypatch.setenv("https_proxy", PROXY)
    assert proxy_for(urlsplit("http://a.example")) is None


@pytest.mark.parametrize(
    ("proxy", "reason"), [("http://[", "is invalid: expected "), ("socks5://a:1", "not supported")]
)
def test_a_proxy_of_the_system_that_cannot_be_used(proxy: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line names the settings of the system, not a variable."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.setattr("urllib.request.getproxies", lambda: {"https": proxy})
    monkeypatch.setattr("urllib.request.proxy_bypass", lambda _: False)
    with pytest.raises(Fatal, match=reason) as refused:
        proxy_for(urlsplit("https://gateway.invalid"))
    assert "proxy settings of the system" in str(refused.value)
    assert "unset" not in str(refused.value)
    assert "HTTPS_PROXY" not in str(refused.value).upper()


def test_each_address_of_this_machine_is_local() -> None:
    """A request to it, with its key, is not sent to an HTTP proxy."""
    cards = psutil.net_if_addrs().values()
    own = [entry.address for card in cards for entry in card if entry.family is socket.AF_INET]
    assert [address for address in own if not is_local(address)] == []
