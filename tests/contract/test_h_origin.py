"""H5: who may ask: Host and Origin, against pages in a browser that know the port (DNS rebinding, CVE-2024-28224)."""

import pytest

from lumen_conformance.contract.expectations import (
    describe,
    expect_client_error,
    expect_error,
    expect_header,
    expect_status,
    expect_text,
    expect_word_in_header,
)
from lumen_conformance.contract.prerequisites import need_response
from lumen_conformance.contract.session import Talk, question
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http.client import Capture, request_bytes, send
from lumen_conformance.registry.declaration import check, check_each
from lumen_conformance.registry.refutation import expect
from lumen_conformance.targets.endpoint import CHAT
from lumen_conformance.targets.launch import Launcher

pytestmark = pytest.mark.profile("lumen")  # the rules of our own proxy

OWN_NAME, OWN_PAGE = "lumen.example", "https://app.example"
PATHS = pytest.mark.parametrize("path", ["/health", "/v1/models", CHAT, "/nothing", "/"])


@pytest.fixture(scope="module")
def declared(module_launch: Launcher, echoing: ScriptedGateway) -> Talk:
    """A proxy that was told of a host name and an origin."""
    env = {"LUMEN_ALLOWED_HOSTS": OWN_NAME, "LUMEN_ALLOWED_ORIGINS": OWN_PAGE, "LUMEN_STANDBY": "0"}
    return Talk(module_launch(gateway=echoing, env=env), echoing)


def asked(talk: Talk, path: str, *headers: tuple[str, str]) -> Capture:
    """A healthy request but for these headers."""
    body = question("안녕") if path == CHAT else None
    return talk.call("POST" if body else "GET", path, json=body, headers=headers)


def expect_refused(seen: Capture, code: str) -> None:
    """The refusal of a stranger, with nothing that a page could read."""
    expect_error(seen, 403, kind="permission_error", code=code)
    expect_header(seen, "Access-Control-Allow-Origin")


FOREIGN_HOSTS = {
    "H5.host-foreign": "attacker.example",
    "H5.host-with-port": "attacker.example:8080",
    "H5.host-like-localhost": "localhost.attacker.example",
    "H5.host-like-loopback": "127.0.0.1.attacker.example",
    "H5.host-any": "0.0.0.0",  # noqa: S104 -- a name, nothing is bound
    "H5.host-of-the-lan": "192.168.0.10",
    "H5.host-empty": "",
    "H5.host-with-user": "localhost@attacker.example",
}


@PATHS
@check_each("host", FOREIGN_HOSTS)
def test_foreign_host(host: str, path: str, talk: Talk) -> None:
    """A Host that is not ours is refused on every route."""
    expect_refused(asked(talk, path, ("Host", host)), "host_not_allowed")


OWN_HOSTS = ["localhost", "LOCALHOST", "localhost:{port}", "127.0.0.1", "127.0.0.1:{port}", "[::1]", "[::1]:{port}"]


@check_each("host", {f"H5.host-own-{number}": host for number, host in enumerate(OWN_HOSTS)})
def test_own_host(host: str, talk: Talk) -> None:
    """The loopback names are served, with and without a port."""
    expect_text(asked(talk, CHAT, ("Host", host.format(port=talk.proxy.port))), "안녕")


def without_host(talk: Talk) -> bytes:
    """A request without its Host line."""
    request = request_bytes(talk.proxy.url, "GET", "/health")
    return b"\r\n".join(line for line in request.split(b"\r\n") if not line.startswith(b"Host:"))


@check("H5.host-missing")
def test_missing_host(talk: Talk) -> None:
    """A request without a Host is refused (RFC 9112, 3.2)."""
    seen = send(talk.proxy.url, without_host(talk))
    expect_client_error(seen)


@check("H5.host-twice")
def test_two_hosts(talk: Talk) -> None:
    """A request with two Hosts is refused (RFC 9112, 3.2)."""
    seen = asked(talk, "/health", ("Host", "localhost"), ("Host", "attacker.example"))
    expect_client_error(seen)


@check("H5.host-in-target")
def test_host_in_the_target(talk: Talk) -> None:
    """A foreign host in the target of the request is refused like one in the header (RFC 9112, 3.2.2)."""
    request = request_bytes(talk.proxy.url, "GET", "/health").replace(b"GET ", b"GET http://attacker.example", 1)
    seen = send(talk.proxy.url, request)
    expect_client_error(seen)


FOREIGN_ORIGINS = {
    "H5.origin-foreign": "https://attacker.example",
    "H5.origin-null": "null",
    "H5.origin-empty": "",
    "H5.origin-like-localhost": "http://localhost.attacker.example:3000",
    "H5.origin-like-loopback": "http://127.0.0.1.attacker.example",
    "H5.origin-file": "file://",
    "H5.origin-extension": "chrome-extension://abcdef",
}


@PATHS
@check_each("origin", FOREIGN_ORIGINS)
def test_foreign_origin(origin: str, path: str, talk: Talk) -> None:
    """An Origin that is neither loopback nor declared is refused on every route."""
    expect_refused(asked(talk, path, ("Origin", origin)), "origin_not_allowed")


@check("H5.preflight")
def test_preflight_refused(talk: Talk) -> None:
    """The question whether a foreign page may ask is answered with no."""
    headers = [("Origin", "https://attacker.example"), ("Access-Control-Request-Method", "POST")]
    seen = talk.call("OPTIONS", CHAT, headers=headers)
    expect_status(seen, 403)
    expect_no_cors(seen)


def expect_no_cors(seen: Capture) -> None:
    """No header of a response is for pages."""
    found = [name for name, _ in seen.headers if name.startswith("access-control-")]
    expect(not found, "no header Access-Control-…", f"{', '.join(found)} ({describe(seen)})")


OWN_PAGES = ["http://localhost:3000", "https://localhost", "http://127.0.0.1:5173", "http://[::1]:8000"]


@check_each("origin", {f"H5.own-page-{number}": origin for number, origin in enumerate(OWN_PAGES)})
def test_own_page(origin: str, talk: Talk) -> None:
    """A page of a loopback origin is served, and its origin is echoed."""
    seen = asked(talk, "/v1/models", ("Origin", origin))
    expect_status(seen, 200)
    expect_header(seen, "Access-Control-Allow-Origin", origin)


@check("H5.own-page-by-foreign-host")
def test_own_page_by_foreign_host(talk: Talk) -> None:
    """A page of a loopback origin is refused when it calls by a foreign name (DNS rebinding)."""
    seen = asked(talk, CHAT, ("Origin", OWN_PAGES[0]), ("Host", "attacker.example"))
    expect_error(seen, 403, code="host_not_allowed")


@check("H5.exposed")
def test_exposed_headers(talk: Talk) -> None:
    """A page may read the request id and what the OpenAI libraries decide by: whether and when to ask again."""
    seen = asked(talk, "/v1/models", ("Origin", OWN_PAGES[0]))
    expect_word_in_header(seen, "Access-Control-Expose-Headers", "x-request-id", "x-should-retry", "retry-after")


@check("H5.no-cors-by-default", tier="S")
def test_no_cors(talk: Talk) -> None:
    """An answer to a request without an Origin says nothing about pages."""
    for seen in (talk.chat, talk.stream, talk.refusal, talk.lost, talk.models, talk.health):
        need_response(seen, ("C1.1",))
        expect_no_cors(seen)


@check("H5.declared-host")
def test_declared_host(declared: Talk) -> None:
    """A declared host name is served."""
    expect_text(asked(declared, CHAT, ("Host", f"{OWN_NAME}:{declared.proxy.port}")), "안녕")


@check("H5.declared-origin")
def test_declared_origin(declared: Talk) -> None:
    """A declared origin is served and told so by its own name, never by a star."""
    seen = asked(declared, CHAT, ("Origin", OWN_PAGE))
    expect_text(seen, "안녕")
    expect_header(seen, "Access-Control-Allow-Origin", OWN_PAGE)
    expect_word_in_header(seen, "Vary", "Origin")


@check_each("origin", {
    "H5.origin-like-declared": f"{OWN_PAGE}.attacker.example",
    "H5.origin-of-another-scheme": "http://app.example",
    "H5.origin-of-another-port": f"{OWN_PAGE}:8443",
})  # fmt: skip
def test_origin_like_a_declared_one(origin: str, declared: Talk) -> None:
    """An Origin that only looks like a declared one is refused."""
    expect_refused(asked(declared, CHAT, ("Origin", origin)), "origin_not_allowed")


@check("H5.declared-preflight")
def test_declared_preflight(declared: Talk) -> None:
    """A declared page may ask, with the headers that clients send."""
    headers = [
        ("Origin", OWN_PAGE),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "authorization, content-type"),
    ]
    seen = declared.call("OPTIONS", CHAT, headers=headers)
    expect_status(seen, 200, 204)  # both are a yes to every browser (Fetch, 4.9: an ok status)
    expect_header(seen, "Access-Control-Allow-Origin", OWN_PAGE)
    expect_word_in_header(seen, "Access-Control-Allow-Methods", "POST")
    expect_word_in_header(seen, "Access-Control-Allow-Headers", "authorization")
