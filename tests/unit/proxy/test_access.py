"""Access to the proxy: Host, Origin and key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lumen_conformance.http import client
from tests.unit.proxy.running_proxy import RunningProxy, error, run_proxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lumen_conformance.gateway.server import ScriptedGateway

KEY = "sk-canary-0123456789"


@pytest.fixture
def served(gateway: ScriptedGateway) -> Iterator[RunningProxy]:
    """A proxy with default settings."""
    with run_proxy(gateway.url) as running:
        yield running


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "", "127.0.0.1, evil", "10.0.0.1", "192.0.2.1"]
)
@pytest.mark.parametrize("path", ["/health", "/v1/models", "/nope"])
def test_a_foreign_host_is_refused(served: RunningProxy, host: str, path: str) -> None:
    """On each route, because of DNS rebinding."""
    capture = served.get(path, ("Host", host))
    assert (capture.status, error(capture)["code"]) == (403, "host_not_allowed")


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("evil.example:8080", "evil.example"),
        ("[fe80::1]:8080", "fe80::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("evil:x", "evil:x"),
    ],
)
def test_a_refused_host_is_named(served: RunningProxy, host: str, name: str) -> None:
    """The message has the name for LUMEN_ALLOWED_HOSTS, or a malformed Host unchanged."""
    details = error(served.get("/health", ("Host", host)))
    assert details["message"].startswith(f"This Host is not allowed: {name!r}. ")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1234", "127.0.0.1:80", "[::1]:8080"])
def test_loopback_hosts_are_served(served: RunningProxy, host: str) -> None:
    """With any port, since ports are forwarded."""
    assert served.get("/health", ("Host", host)).status == 200


@pytest.mark.parametrize("origin", ["null", "http://evil.example", "file://", ""])
def test_an_undeclared_origin_is_refused(served: RunningProxy, origin: str) -> None:
    """An origin that is neither loopback nor declared is refused with the remedy."""
    capture = served.get("/v1/models", ("Origin", origin))
    details = error(capture)
    assert (capture.status, details["code"]) == (403, "origin_not_allowed")
    assert details["message"].startswith(f"This Origin is not allowed: {origin!r}. Add it to LUMEN_ALLOWED_ORIGINS")
    assert capture.header("access-control-allow-origin") is None


def test_declared_hosts_and_origins(gateway: ScriptedGateway) -> None:
    """They are served, with CORS for this origin only, also for errors."""
    page = ("Origin", "https://Page.example")
    settings = {"LUMEN_ALLOWED_HOSTS": "box.lan", "LUMEN_ALLOWED_ORIGINS": "https://page.example"}
    with run_proxy(gateway.url, PROXY_API_KEY=KEY, **settings) as served:
        assert served.get("/health", ("Host", "box.lan:8080")).status == 200
        capture = served.get("/v1/models", page)
        assert (capture.status, capture.header("access-control-allow-origin")) == (401, "https://Page.example")
        ask = [
            page,
            ("Access-Control-Request-Method", "POST"),
            ("Access-Control-Request-Headers", "authorization, x-a"),
        ]
        capture = client.call(served.url, "OPTIONS", "/v1/chat/completions", headers=ask)
        assert (capture.status, capture.header("access-control-allow-headers")) == (204, "authorization, x-a")
        assert served.get("/v1/models", ("Origin", "https://other.example")).status == 403


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer wrong", f"Basic {KEY}", KEY, f"Bearer {KEY}x", "Bearer é"]
)
def test_the_key_is_needed(gateway: ScriptedGateway, header: str | None) -> None:
    """Without the right key only liveness and readiness answer."""
    headers = [] if header is None else [("Authorization", header)]
    with run_proxy(gateway.url, PROXY_API_KEY=KEY) as served:
        for path in ("/v1/models", "/models", "/metrics", "/v1/chat/completions"):
            capture = served.get(path, *headers)
            assert (capture.status, error(capture)["code"]) == (401, "invalid_api_key")
            assert KEY.encode() not in capture.raw_head + capture.body
        assert [served.get(path).status for path in ("/health", "/ready", "/")] == [200] * 3
        assert served.chat(headers=(("Authorization", f"bearer {KEY}"),)).status == 200
