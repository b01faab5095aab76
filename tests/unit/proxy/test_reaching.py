"""Chats whose gateway is hard to reach: slow nameservers, silent addresses, HTTP proxies; and the client's error."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import pytest

from lumen_conformance.gateway import replies
from lumen_conformance.gateway.exchange import Reply
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.ports import reserved_port
from lumen_proxy.errors import ApiError
from lumen_proxy.net import trust
from lumen_proxy.worker.upstream.pool import NotSent, Pool
from tests.fixtures.blackholes import NEEDS_LINUX, open_black_hole
from tests.fixtures.tls import NEEDS_OPENSSL, TlsFront, create_certificate
from tests.unit.proxy.running_proxy import run_proxy
from tests.unit.proxy.test_gateway_calls import failure
from tests.unit.proxy.test_pool import new_call, new_pool

FAR = "gateway.invalid"
WITHIN_S = 10.0


def resolve(monkeypatch: pytest.MonkeyPatch, *hosts: str, first: Callable[[], object] = lambda: None) -> None:
    """Let the gateway's name resolve to these addresses; `first` runs before the answer."""
    ask = socket.getaddrinfo

    def getaddrinfo(host: str, port: int, *args: int, **kwargs: int) -> list[object]:
        if host != FAR:
            return list(ask(host, port, *args, **kwargs))
        first()
        families = {True: socket.AF_INET6, False: socket.AF_INET}
        return [(families[":" in one], socket.SOCK_STREAM, 6, "", (one, port)) for one in hosts]

    monkeypatch.setattr("socket.getaddrinfo", getaddrinfo)


@NEEDS_LINUX
@pytest.mark.parametrize("silent", ["127.0.0.2", "::1"])
def test_a_silent_first_address(gateway: ScriptedGateway, silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """P4: the second address answers well within the connect time-out, and the call is written once."""
    resolve(monkeypatch, silent, "127.0.0.1")
    url = f"http://{FAR}:{gateway.port}"
    with open_black_hole(silent, gateway.port), run_proxy(url, LUMEN_CONNECT_TIMEOUT_S="60") as served:
        assert served.chat(timeout_s=10.0).status == 200  # the silent address alone would take 60 s
    assert len(gateway.chats) == 1


def test_a_slow_nameserver_does_not_use_up_the_time_for_connecting(
    gateway: ScriptedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P5: a slow look-up counts against the deadline of the call only."""
    resolve(monkeypatch, "127.0.0.1", first=lambda: threading.Event().wait(0.5))
    with run_proxy(f"http://{FAR}:{gateway.port}", LUMEN_CONNECT_TIMEOUT_S="0.1") as served:
        assert served.chat().status == 200
    assert len(gateway.chats) == 1


def message_of(url: str, **settings: str) -> str:
    """The message of a chat that did not reach its gateway."""
    with run_proxy(url, **settings) as served:
        capture = served.chat()
    assert failure(capture) == (502, "gateway_unreachable")
    return str(capture.json()["error"]["message"])


@NEEDS_LINUX
def test_each_kind_of_failure_has_its_own_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """P5: no answer of a nameserver, an unknown name, a refusal and a silent address have different messages."""
    hanging = threading.Event()
    resolve(monkeypatch, "127.0.0.1", first=lambda: hanging.wait(WITHIN_S))
    slow = message_of(f"http://{FAR}", LUMEN_TIMEOUT_S="0.6")
    hanging.set()
    monkeypatch.undo()
    assert "look-up of the host name 'gateway.invalid' timed out" in slow
    assert "nameservers" in slow
    assert "LUMEN_TIMEOUT_S" in slow
    assert "the host name 'gateway.invalid' is unknown" in message_of(f"http://{FAR}")
    with reserved_port() as port:
        assert "the connection was refused" in message_of(f"http://127.0.0.1:{port}")
    with open_black_hole("127.0.0.2") as port:
        silent = message_of(f"http://127.0.0.2:{port}", LUMEN_CONNECT_TIMEOUT_S="0.1")
    assert "no connection was accepted in time (LUMEN_CONNECT_TIMEOUT_S=0.1)" in silent


def test_a_handshake_that_does_not_end(pools: list[Pool]) -> None:
    """A silent server: the call ends at the connect time-out, or at once if the client disconnects."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/chat"
        with pytest.raises(NotSent) as caught:
            new_pool(url, pools, connect_timeout_s=0.2).post(new_call(), {"message": "x"})
        assert (caught.value.error.code, caught.value.is_transient) == ("gateway_unreachable", True)
        assert "the TLS handshake did not end in time" in caught.value.error.message
        call, began = new_call(), monotonic()
        leaving = threading.Timer(0.2, call.end, ("client_gone",))
        leaving.start()
        with pytest.raises(NotSent):
            new_pool(url, pools, connect_timeout_s=WITHIN_S).post(call, {"message": "x"})
        leaving.join()
        assert monotonic() - began < 5.0  # docs/behaviour.md: a disconnected client ends its call within 5 s


HANDSHAKES = [
    (b"", "gateway_unreachable", True, "the connection was closed during the TLS handshake"),
    (b"HTTP/1.1 400 Bad Request\r\n\r\n", "gateway_misconfigured", False, "check that the address speaks https"),
]


@pytest.mark.parametrize(("reply", "code", "again", "text"), HANDSHAKES)
def test_a_handshake_that_fails(
    pools: list[Pool],
    reply: bytes,
    code: str,
    again: bool,  # noqa: FBT001 - a row
    text: str,
) -> None:
    """A server that disconnects is a transient failure; one without TLS is not, and needs no bundle."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with server.accept()[0] as connection:
                connection.recv(65_536)
                connection.sendall(reply)

        serving_it = threading.Thread(target=serve)
        serving_it.start()
        pool = new_pool(f"https://127.0.0.1:{server.getsockname()[1]}/chat", pools, connect_timeout_s=5.0)
        with pytest.raises(NotSent) as caught:
            pool.post(new_call(), {"message": "x"})
        serving_it.join(WITHIN_S)
    assert (caught.value.error.code, caught.value.is_transient) == (code, again)
    assert text in caught.value.error.message
    assert "CA_BUNDLE" not in caught.value.error.message


TUNNELS = [
    (replies.respond_with({}, 407), "gateway_misconfigured", False, "it asks for credentials (407)"),
    (replies.respond_with({}, 403), "gateway_misconfigured", False, "it refuses this address (403)"),
    (replies.respond_with({}, 502), "gateway_unreachable", True, "it could not reach the address (502)"),
    (replies.raw(b"no HTTP\r\n\r\n"), "gateway_unreachable", True, "it closed the connection"),
    (replies.raw(b""), "gateway_unreachable", True, "it closed the connection"),
    (replies.silent, "gateway_unreachable", True, "it did not answer in time"),
]


@pytest.mark.parametrize(("reply", "code", "again", "text"), TUNNELS)
def test_a_proxy_that_makes_no_tunnel(  # noqa: PLR0917 - a row and two fixtures
    gateway: ScriptedGateway,
    pools: list[Pool],
    monkeypatch: pytest.MonkeyPatch,
    reply: Reply,
    code: str,
    again: bool,  # noqa: FBT001 - a row
    text: str,
) -> None:
    """P6: no byte of the call is written; the message has the proxy without its password, and its status."""
    monkeypatch.setenv("https_proxy", gateway.url.replace("//", "//me:s3cret@"))
    gateway.standing = reply
    pool = new_pool(f"https://{FAR}/chat", pools, connect_timeout_s=0.5)
    with pytest.raises(NotSent) as caught:
        pool.post(new_call(), {"message": "question"})
    error = caught.value.error
    assert (error.code, caught.value.is_transient) == (code, again)
    assert f"proxy 127.0.0.1:{gateway.port}: {text}" in error.message
    assert "s3cret" not in error.message
    assert [call.method for call in gateway.calls] == ["CONNECT"]
    assert "question" not in str(gateway.calls)


def test_a_proxy_that_answers_a_request_with_407(
    gateway: ScriptedGateway,
    pools: list[Pool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """P6: it is not an answer of the gateway, and the call is not repeated."""
    monkeypatch.setenv("http_proxy", gateway.url)
    gateway.standing = replies.respond_with({}, 407)
    with pytest.raises(ApiError) as caught:
        new_pool(f"http://{FAR}/chat", pools).post(new_call(), {"message": "x"})
    assert caught.value.code == "gateway_misconfigured"
    assert f"proxy 127.0.0.1:{gateway.port}: it asks for credentials (407)" in caught.value.message
    assert len(gateway.calls) == 1


@NEEDS_OPENSSL
def test_a_call_through_a_tunnel(
    gateway: ScriptedGateway,
    pools: list[Pool],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The proxy gets the name of the gateway, whose certificate is checked; the connection is used again."""
    certified = create_certificate(tmp_path, FAR)
    for name in trust.BUNDLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(certified))
    heads: list[bytes] = []
    with TlsFront(certified, gateway.port) as front, Tunnel(front.port, heads) as tunnel:
        monkeypatch.setenv("https_proxy", f"http://me:pa%20ss@127.0.0.1:{tunnel.port}")
        pool = new_pool(f"https://{FAR}/chat", pools)
        assert [pool.post(new_call(), {"message": "x"}).status for _ in range(2)] == [200, 200]
        pool.close()
    (head,) = heads
    assert head.startswith(b"CONNECT gateway.invalid:443 HTTP/1.1\r\nHost: gateway.invalid:443\r\n")
    assert b"\r\nProxy-Authorization: Basic bWU6cGEgc3M=\r\n" in head
    assert gateway.chats[0].header("host") == FAR
    assert gateway.chats[0].header("proxy-authorization") is None


class Tunnel(TlsFront):
    """An HTTP proxy that connects each CONNECT to one port. `heads` has the heads of its requests."""

    def __init__(self, port: int, heads: list[bytes]) -> None:
        super().__init__(None, port)
        self._heads = heads

    def prepared(self, connection: socket.socket) -> socket.socket:
        """Read the head of a request and accept it."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            received = connection.recv(1)
            if not received:
                raise ConnectionResetError
            head += received
        self._heads.append(head)
        connection.sendall(b"HTTP/1.1 200 Connection established\r\nX: y\r\n\r\n")
        return connection
