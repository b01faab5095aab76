"""The connection pool over TLS: trust, and the same behaviour as without TLS."""

from __future__ import annotations

import socket
import ssl
import threading
from typing import TYPE_CHECKING

import pytest

from lumen_proxy.errors import ApiError
from lumen_proxy.worker.call import ClientCall
from lumen_proxy.worker.upstream.pool import NotSent, Pool
from tests.fixtures.tls import NEEDS_OPENSSL, create_certificate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WITHIN_S = 10.0
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

pytestmark = NEEDS_OPENSSL


class TlsGateway:
    """Answers each request with an empty object, or holds it until its client disconnects."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.connections = 0
        self.requests = 0
        self.silent = False
        self.left = threading.Event()
        self.received = threading.Event()
        self._context = context
        self._closing = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._closing = True
        socket.create_connection(("127.0.0.1", self.port)).close()  # wakes accept()
        self._thread.join(WITHIN_S)
        self._listener.close()

    def _serve(self) -> None:
        while not self._closing:
            connection, _ = self._listener.accept()
            self.connections += 1
            try:
                with self._context.wrap_socket(connection, server_side=True) as secure:
                    self._converse(secure)
            except OSError:
                connection.close()

    def _converse(self, secure: ssl.SSLSocket) -> None:
        while secure.recv(65_536):
            self.requests += 1
            self.received.set()
            if not self.silent:
                secure.sendall(ANSWER)
        self.left.set()


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for localhost, with its key in the same file."""
    return create_certificate(tmp_path_factory.mktemp("tls"), "localhost")


@pytest.fixture
def tls(certified: Path) -> Iterator[TlsGateway]:
    """A gateway with this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certified)
    gateway = TlsGateway(context)
    yield gateway
    gateway.close()


@pytest.fixture
def pool(tls: TlsGateway) -> Iterator[Pool]:
    """A pool for it."""
    pool = Pool(f"https://localhost:{tls.port}/chat", connect_timeout_s=5.0, max_response_bytes=1000)
    yield pool
    pool.close()


def call() -> ClientCall:
    """A call whose client stays connected."""
    return ClientCall(WITHIN_S, lambda: False)


def test_an_untrusted_certificate(tls: TlsGateway, pool: Pool) -> None:
    """The call is not written and not repeated."""
    with pytest.raises(NotSent) as caught:
        pool.post(call(), {"message": "secret"})
    assert (caught.value.error.code, caught.value.is_transient) == ("gateway_misconfigured", False)
    assert "REQUESTS_CA_BUNDLE" in caught.value.error.message
    assert tls.requests == 0


def test_a_certificate_for_another_name(tls: TlsGateway, certified: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused although it is trusted."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certified))
    pool = Pool(f"https://127.0.0.1:{tls.port}/chat", connect_timeout_s=5.0, max_response_bytes=1000)
    with pytest.raises(NotSent) as caught:
        pool.post(call(), {"message": "secret"})
    assert caught.value.error.code == "gateway_misconfigured"
    assert tls.requests == 0


def test_a_trusted_gateway_is_called_on_one_connection(
    tls: TlsGateway, pool: Pool, certified: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connection is used again."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certified))
    assert [pool.post(call(), {"message": "x"}).body for _ in range(3)] == [b"{}"] * 3
    assert (tls.connections, tls.requests) == (1, 3)


def test_a_call_over_tls_can_be_ended(
    tls: TlsGateway, pool: Pool, certified: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection to the gateway is closed."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certified))
    tls.silent = True
    one = call()

    def end_when_asked() -> None:
        tls.received.wait(WITHIN_S)
        one.end("client_gone")

    ending = threading.Thread(target=end_when_asked)
    ending.start()
    with pytest.raises(ApiError) as caught:
        pool.post(one, {"message": "x"})
    assert caught.value.code == "client_gone"
    assert tls.left.wait(WITHIN_S)
    ending.join(WITHIN_S)
