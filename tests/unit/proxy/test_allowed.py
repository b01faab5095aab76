"""Which Host and Origin headers are allowed: loopback, the names of this machine on a network, and declared names."""

from __future__ import annotations

import ipaddress
import socket

import psutil
import pytest

from lumen_conformance.gateway.server import ScriptedGateway
from lumen_proxy.config.parsers import host_names, web_origins
from lumen_proxy.wire import allowed_hosts as allowed_module
from lumen_proxy.wire.allowed_hosts import AllowedHosts, AllowedOrigins, machine_names
from tests.unit.proxy.running_proxy import run_proxy

ANY_ADDRESS = "0.0.0.0"  # noqa: S104 -- nothing is bound
OWN_ADDRESSES = [
    one.address for each in psutil.net_if_addrs().values() for one in each if one.family == socket.AF_INET
]  # fmt: skip


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost",
        "https://localhost:3000",
        "HTTP://LOCALHOST:3000",
        "http://127.0.0.1:5173",
        "https://127.8.0.1",
        "http://[::1]:8000",
    ],
)
def test_loopback_pages_are_allowed(origin: str) -> None:
    """The page of a loopback origin is allowed, and its origin is returned unchanged."""
    headers = AllowedOrigins(()).headers(origin)
    assert headers["Access-Control-Allow-Origin"] == origin


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "null",
        "*",
        "file://",
        "https://page.example",
        "http://localhost.page.example",
        "http://127.0.0.1.page.example",
        "http://localhost@page.example",
        "http://page.example#localhost",
        "http://localhost/, http://page.example",
        "http://localhost, http://page.example",
        "http://localhost:3000/path",
        "http://0.0.0.0:3000",
        "http://192.168.0.10",
        "ftp://localhost",
        "app://localhost",
        "chrome-extension://abcdefghijklmnop",
    ],
)
def test_other_origins_are_refused(origin: str) -> None:
    """No other origin is allowed by default. Any site can send `null` from a sandboxed frame."""
    assert not AllowedOrigins(()).allows(origin)
    assert AllowedOrigins(()).headers(origin) == {}


@pytest.mark.parametrize(
    ("declared", "allowed", "refused"),
    [
        ("null", "null", "file://"),
        ("file://", "file://", "null"),
        ("https://page.example", "https://Page.example", "http://page.example"),
        ("https://page.example", "https://page.example", "https://page.example:8443"),
        ("https://page.example", "https://page.example", "https://pageXexample"),
        ("https://*.tunnel.example", "https://a-b.tunnel.example", "https://tunnel.example"),
        ("https://*.tunnel.example", "https://a.b.tunnel.example", "https://a.tunnel.example.attacker.example"),
        ("https://*.tunnel.example", "https://a.tunnel.example", "https://attacker.example/.tunnel.example"),
        ("https://*.tunnel.example", "https://a.tunnel.example", "https://a:b@c.tunnel.example"),
        ("https://*.tunnel.example:8443", "https://a.tunnel.example:8443", "https://a.tunnel.example"),
        ("chrome-extension://*", "chrome-extension://abcdefghijklmnop", "moz-extension://abcdefghijklmnop"),
        ("vscode-webview://*", "vscode-webview://0ab1-c2", "vscode-webview://a/b"),
        ("app://obsidian.md", "app://obsidian.md", "app://other"),
        ("tauri://localhost", "tauri://localhost", "tauri://other"),
    ],
)
def test_declared_origins(declared: str, allowed: str, refused: str) -> None:
    """A declared origin is allowed; `*` matches labels of a name only."""
    origins = AllowedOrigins(web_origins(declared))
    assert origins.allows(allowed)
    assert not origins.allows(refused)


@pytest.mark.parametrize(
    ("declared", "allowed", "refused"),
    [
        ("", "localhost:8080", "page.example"),
        ("lumen.example", "LUMEN.example:8080", "a.lumen.example"),
        ("*.tunnel.example", "a.tunnel.example", "a.tunnel.example.attacker.example"),
    ],
)
def test_declared_hosts(declared: str, allowed: str, refused: str) -> None:
    """Loopback names and declared names are allowed."""
    hosts = AllowedHosts("localhost", host_names(declared))
    assert hosts.allows(allowed)
    assert not hosts.allows(refused)


@pytest.mark.parametrize("bind", [ANY_ADDRESS, "::", "192.0.2.7"])
def test_hosts_on_a_network(bind: str) -> None:
    """On a network, the addresses and names of this machine are allowed, and no others."""
    hosts = AllowedHosts(bind, ())
    own = [address for address in OWN_ADDRESSES if not ipaddress.ip_address(address).is_loopback]
    name = socket.gethostname()
    assert all(hosts.allows(f"{host}:8080") for host in [*own, name, f"{name.partition('.')[0]}.local"])
    others = ("198.51.100.9:8080", "page.example", f"{name}.page.example", ANY_ADDRESS, "[::]:8080")
    assert not any(hosts.allows(host) for host in others)
    assert set(own) <= set(hosts.describe().split(", "))


def test_names_of_this_machine_are_kept_for_some_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request with a foreign Host does not read the names of the machine again."""
    reads: list[str] = []

    def net_if_addrs() -> dict[str, object]:
        reads.append("the system")
        return {}

    monkeypatch.setattr("psutil.net_if_addrs", net_if_addrs)
    hosts = AllowedHosts(ANY_ADDRESS, ())
    assert not any(hosts.allows("page.example") for _ in range(3))
    assert len(reads) == 1
    monkeypatch.setattr(allowed_module, "NAMES_KEPT_S", 0.0)
    hosts.allows("page.example")
    assert len(reads) == 2


@pytest.mark.parametrize("error", [OSError("no"), ValueError("no")])
@pytest.mark.parametrize("source", ["psutil.net_if_addrs", "socket.gethostname"])
def test_names_that_cannot_be_read(source: str, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are not allowed; neither a request nor the line at the start fails."""

    def fail() -> None:
        raise error

    monkeypatch.setattr(source, fail)
    hosts = AllowedHosts(ANY_ADDRESS, ["lumen.example"])
    assert not hosts.allows("page.example")
    assert hosts.describe().startswith("loopback")
    assert hosts.allows("lumen.example")


def test_hosts_on_loopback() -> None:
    """On loopback, the network addresses of the machine are not allowed."""
    others = machine_names() - {"localhost"}
    assert not any(AllowedHosts("localhost", ()).allows(name) for name in others)


def test_a_client_on_the_network(gateway: ScriptedGateway) -> None:
    """A proxy on all addresses answers a client with one of them in the Host header, and the key."""
    name, key = f"{socket.gethostname()}:8080", ("Authorization", "Bearer sk-1")
    with run_proxy(gateway.url, PROXY_HOST=ANY_ADDRESS, PROXY_API_KEY="sk-1") as served:
        reads = [(("Host", name), key), (("Host", name),), (("Host", "attacker.example"), key)]
        statuses = [served.get("/v1/models", *headers).status for headers in reads]
    assert statuses == [200, 401, 403]
