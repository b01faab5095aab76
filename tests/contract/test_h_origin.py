"""H5: Host and Origin: web pages that know the port must not use the proxy (DNS rebinding, CVE-2024-28224)."""

import pytest

from lumen_conformance.contract.expectations import (
    describe,
    expect_client_error,
    expect_error,
    expect_header,
    expect_header_tokens,
    expect_status,
    expect_text,
)
from lumen_conformance.contract.prerequisites import need_response
from lumen_conformance.contract.session import ContractSession, question
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http.client import Capture, request_bytes, send
from lumen_conformance.registry.declaration import check, check_each
from lumen_conformance.registry.refutation import expect
from lumen_conformance.targets.endpoint import CHAT
from lumen_conformance.targets.launch import Launcher

pytestmark = pytest.mark.profile("lumen")  # the rules of our own proxy

REBINDING = "CVE-2024-28224 (DNS rebinding); docs/behaviour.md"
ALLOWED_HOSTS = "docs/behaviour.md: LUMEN_ALLOWED_HOSTS"
ALLOWED = "docs/behaviour.md: LUMEN_ALLOWED_ORIGINS"
OWN_NAME, OWN_PAGE = "lumen.example", "https://app.example"
PATHS = pytest.mark.parametrize("path", ["/health", "/v1/models", CHAT, "/nothing", "/"])


@pytest.fixture(scope="module")
def allowlist_proxy(module_launch: Launcher, echo_gateway: ScriptedGateway) -> ContractSession:
    """A proxy with an additional allowed host and an additional allowed origin."""
    env = {"LUMEN_ALLOWED_HOSTS": OWN_NAME, "LUMEN_ALLOWED_ORIGINS": OWN_PAGE, "LUMEN_STANDBY": "0"}
    return ContractSession(module_launch(gateway=echo_gateway, env=env), echo_gateway)


def send_request(proxy: ContractSession, path: str, *headers: tuple[str, str]) -> Capture:
    """Send a valid request with these headers."""
    body = question("안녕") if path == CHAT else None
    return proxy.call("POST" if body else "GET", path, json=body, headers=headers)


def expect_refused(capture: Capture, code: str) -> None:
    """The request is refused with 403 and this code, without a header that allows a page to read the response."""
    expect_error(capture, 403, kind="permission_error", code=code)
    expect_header(capture, "Access-Control-Allow-Origin")


FOREIGN_HOSTS = {
    "H5-host-foreign": "attacker.example",
    "H5-host-with-port": "attacker.example:8080",
    "H5-host-like-localhost": "localhost.attacker.example",
    "H5-host-like-loopback": "127.0.0.1.attacker.example",
    "H5-host-any": "0.0.0.0",  # noqa: S104 -- a host name, no socket is bound
    "H5-host-of-the-lan": "192.168.0.10",
    "H5-host-empty": "",
    "H5-host-with-user": "localhost@attacker.example",
}


@PATHS
@check_each("host", FOREIGN_HOSTS, source=REBINDING)
def test_foreign_host(host: str, path: str, proxy: ContractSession) -> None:
    """A request with another Host ({row}) than that of the proxy is refused on every path."""
    expect_refused(send_request(proxy, path, ("Host", host)), "host_not_allowed")


OWN_HOSTS = ["localhost", "LOCALHOST", "localhost:{port}", "127.0.0.1", "127.0.0.1:{port}", "[::1]", "[::1]:{port}"]


@check_each("host", {f"H5-host-own-{number}": host for number, host in enumerate(OWN_HOSTS)}, source=ALLOWED_HOSTS)
def test_own_host(host: str, proxy: ContractSession) -> None:
    """Requests with a loopback name as Host ({host}) are accepted, with and without a port."""
    expect_text(send_request(proxy, CHAT, ("Host", host.format(port=proxy.server.port))), "안녕")


def request_without_host(proxy: ContractSession) -> bytes:
    """The bytes of a request without the header Host."""
    request = request_bytes(proxy.server.url, "GET", "/health")
    return b"\r\n".join(line for line in request.split(b"\r\n") if not line.startswith(b"Host:"))


@check("H5-host-missing", source="RFC 9112, 3.2")
def test_missing_host(proxy: ContractSession) -> None:
    """A request without Host is refused."""
    capture = send(proxy.server.url, request_without_host(proxy))
    expect_client_error(capture)


@check("H5-host-twice", source="RFC 9112, 3.2")
def test_two_hosts(proxy: ContractSession) -> None:
    """A request with two Host headers is refused."""
    capture = send_request(proxy, "/health", ("Host", "localhost"), ("Host", "attacker.example"))
    expect_client_error(capture)


@check("H5-host-in-target", source="RFC 9112, 3.2.2")
def test_host_in_the_target(proxy: ContractSession) -> None:
    """A request with another host in its absolute target is refused."""
    request = request_bytes(proxy.server.url, "GET", "/health").replace(b"GET ", b"GET http://attacker.example", 1)
    capture = send(proxy.server.url, request)
    expect_client_error(capture)


FOREIGN_ORIGINS = {
    "H5-origin-foreign": "https://attacker.example",
    "H5-origin-null": "null",
    "H5-origin-empty": "",
    "H5-origin-like-localhost": "http://localhost.attacker.example:3000",
    "H5-origin-like-loopback": "http://127.0.0.1.attacker.example",
    "H5-origin-file": "file://",
    "H5-origin-extension": "chrome-extension://abcdef",
}


@PATHS
@check_each("origin", FOREIGN_ORIGINS, source=REBINDING)
def test_foreign_origin(origin: str, path: str, proxy: ContractSession) -> None:
    """A request with an Origin ({row}) that is neither loopback nor allowed is refused on every path."""
    expect_refused(send_request(proxy, path, ("Origin", origin)), "origin_not_allowed")


@check("H5-preflight", source="Fetch Standard, CORS-preflight fetch; docs/behaviour.md: LUMEN_ALLOWED_ORIGINS")
def test_preflight_refused(proxy: ContractSession) -> None:
    """A preflight request of a foreign page is refused."""
    headers = [("Origin", "https://attacker.example"), ("Access-Control-Request-Method", "POST")]
    capture = proxy.call("OPTIONS", CHAT, headers=headers)
    expect_status(capture, 403)
    expect_no_cors(capture)


def expect_no_cors(capture: Capture) -> None:
    """The response has no CORS header."""
    found = [name for name, _ in capture.headers if name.startswith("access-control-")]
    expect(not found, "no header Access-Control-…", f"{', '.join(found)} ({describe(capture)})")


OWN_PAGES = ["http://localhost:3000", "https://localhost", "http://127.0.0.1:5173", "http://[::1]:8000"]


@check_each("origin", {f"H5-own-page-{number}": origin for number, origin in enumerate(OWN_PAGES)}, source=ALLOWED)
def test_own_page(origin: str, proxy: ContractSession) -> None:
    """A request of a page with a loopback origin ({origin}) is accepted, and the response names that origin."""
    capture = send_request(proxy, "/v1/models", ("Origin", origin))
    expect_status(capture, 200)
    expect_header(capture, "Access-Control-Allow-Origin", origin)


@check("H5-own-page-by-foreign-host", source=REBINDING)
def test_own_page_by_foreign_host(proxy: ContractSession) -> None:
    """A request of a page with a loopback origin is refused when its Host is foreign (DNS rebinding)."""
    capture = send_request(proxy, CHAT, ("Origin", OWN_PAGES[0]), ("Host", "attacker.example"))
    expect_error(capture, 403, code="host_not_allowed")


@check("H5-exposed", source="Fetch Standard, CORS protocol; docs/behaviour.md")
def test_exposed_headers(proxy: ContractSession) -> None:
    """A page may read the request id and the headers by which the OpenAI libraries decide whether to retry."""
    capture = send_request(proxy, "/v1/models", ("Origin", OWN_PAGES[0]))
    expect_header_tokens(capture, "Access-Control-Expose-Headers", "x-request-id", "x-should-retry", "retry-after")


@check("H5-no-cors-by-default", tier="S", source=ALLOWED)
def test_no_cors(proxy: ContractSession) -> None:
    """The response to a request without Origin has no CORS header."""
    for capture in (proxy.chat, proxy.stream, proxy.refusal, proxy.lost, proxy.models, proxy.health):
        need_response(capture, ("C1.1",))
        expect_no_cors(capture)


@check("H5-declared-host", source=ALLOWED_HOSTS)
def test_declared_host(allowlist_proxy: ContractSession) -> None:
    """A request with an allowed host name is accepted."""
    expect_text(send_request(allowlist_proxy, CHAT, ("Host", f"{OWN_NAME}:{allowlist_proxy.server.port}")), "안녕")


@check("H5-declared-origin", source="Fetch Standard, CORS protocol; docs/behaviour.md: LUMEN_ALLOWED_ORIGINS")
def test_declared_origin(allowlist_proxy: ContractSession) -> None:
    """A request with an allowed origin is accepted, and the response names that origin, not *."""
    capture = send_request(allowlist_proxy, CHAT, ("Origin", OWN_PAGE))
    expect_text(capture, "안녕")
    expect_header(capture, "Access-Control-Allow-Origin", OWN_PAGE)
    expect_header_tokens(capture, "Vary", "Origin")


@check_each("origin", {
    "H5-origin-like-declared": f"{OWN_PAGE}.attacker.example",
    "H5-origin-of-another-scheme": "http://app.example",
    "H5-origin-of-another-port": f"{OWN_PAGE}:8443",
}, source=REBINDING)  # fmt: skip
def test_origin_like_a_declared_one(origin: str, allowlist_proxy: ContractSession) -> None:
    """A request with an Origin similar to an allowed one ({row}) is refused."""
    expect_refused(send_request(allowlist_proxy, CHAT, ("Origin", origin)), "origin_not_allowed")


@check("H5-declared-preflight", source="Fetch Standard, CORS-preflight fetch; docs/behaviour.md: LUMEN_ALLOWED_ORIGINS")
def test_declared_preflight(allowlist_proxy: ContractSession) -> None:
    """A preflight request with an allowed origin and the headers of clients succeeds."""
    headers = [
        ("Origin", OWN_PAGE),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "authorization, content-type"),
    ]
    capture = allowlist_proxy.call("OPTIONS", CHAT, headers=headers)
    expect_status(capture, 200, 204)  # browsers accept both (Fetch Standard: an ok status)
    expect_header(capture, "Access-Control-Allow-Origin", OWN_PAGE)
    expect_header_tokens(capture, "Access-Control-Allow-Methods", "POST")
    expect_header_tokens(capture, "Access-Control-Allow-Headers", "authorization")
