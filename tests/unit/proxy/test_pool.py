"""The connection pool: HTTP proxies of the environment, idle connections, aborted calls."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from lumen_conformance.gateway import replies
from lumen_conformance.waiting import until
from lumen_proxy.errors import ApiError, Exit, Fatal
from lumen_proxy.net.route import Route
from lumen_proxy.worker.call import ClientCall
from lumen_proxy.worker.upstream import pool as pool_module
from lumen_proxy.worker.upstream.pool import NotSent, Pool

if TYPE_CHECKING:
    from lumen_conformance.gateway.server import ScriptedGateway

WITHIN_S = 10.0


def new_call(within_s: float = WITHIN_S) -> ClientCall:
    """A call whose client stays connected."""
    return ClientCall(within_s, lambda: False)


def new_pool(url: str, pools: list[Pool], connect_timeout_s: float = 2.0) -> Pool:
    """A pool with a limit of a megabyte."""
    pools.append(Pool(url, connect_timeout_s=connect_timeout_s, max_response_bytes=1_000_000))
    return pools[-1]


@pytest.mark.parametrize("variable", ["http_proxy", "all_proxy"])
def test_a_proxy_of_the_environment_is_used(
    gateway: ScriptedGateway, pools: list[Pool], monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """HTTP_PROXY receives the absolute address and its password."""
    monkeypatch.setenv(variable, gateway.url.replace("http://", "http://user:pa%20ss@"))
    reply = new_pool("http://gateway.invalid/pre/chat", pools).post(new_call(), {"message": "x"})
    assert reply.status == 200
    call = gateway.calls[0]
    assert call.path == "http://gateway.invalid/pre/chat"
    assert call.header("host") == "gateway.invalid"
    assert call.header("proxy-authorization") == "Basic dXNlcjpwYSBzcw=="


def test_no_proxy_is_obeyed(pools: list[Pool], monkeypatch: pytest.MonkeyPatch, gateway: ScriptedGateway) -> None:
    """An address in NO_PROXY is reached directly."""
    monkeypatch.setenv("http_proxy", gateway.url)
    monkeypatch.setenv("no_proxy", "gateway.invalid")
    with pytest.raises(NotSent):
        new_pool("http://gateway.invalid/chat", pools).post(new_call(), {"message": "x"})
    assert gateway.calls == ()


@pytest.mark.parametrize("address", ["http://[", "http://127.0.0.1:notaport", "http://a..b", "http://", "a b"])
def test_a_proxy_that_is_not_an_address(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The start of the proxy ends with 78 and a line with variable and remedy, but no password."""
    monkeypatch.setenv("http_proxy", address.replace("://", "://me:s3cret@"))
    with pytest.raises(Fatal, match=r"^http_proxy='.*' is invalid: expected .*\. Fix or unset it$") as refused:
        Route("http://gateway.invalid")
    assert refused.value.exit_status is Exit.CONFIG
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("http://127.0.0.1:1", "http://["),
        ("https://gateway.invalid", "http://["),
        ("http://gateway.invalid", f"http://me:{'s' * 70}..@127.0.0.1:1"),
        ("http://gateway.invalid", f"HTTP://{'h' * 60}:8080"),
    ],
)
def test_a_valid_or_unused_proxy_is_accepted(url: str, proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unused one is not checked; a long password and a long name are valid."""
    monkeypatch.setenv("http_proxy", proxy)
    Route(url)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        (f"http://{'h' * 60}:8080/chat", f"{'h' * 60}:8080"),
        ("http://[::1]:8080/chat", "[::1]:8080"),
        ("http://한글.kr/chat", "xn--bj0bj06e.kr"),
    ],
)
def test_the_host_header(url: str, host: str) -> None:
    """ASCII, with the port, and brackets for a literal IPv6 address."""
    assert f"\r\nHost: {host}\r\n".encode() in Route(url).head("POST", {"X": "y"})


def test_an_idle_connection_is_dropped(
    gateway: ScriptedGateway, pools: list[Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After some idle seconds the next call makes a new connection."""
    pool = new_pool(gateway.url + "/chat", pools)
    pool.post(new_call(), {"message": "x"})
    monkeypatch.setattr(pool_module, "IDLE_S", 0.0)
    pool.post(new_call(), {"message": "x"})
    assert gateway.connections == 2


def test_surplus_connections_are_closed(
    gateway: ScriptedGateway, pools: list[Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of idle connections is limited."""
    monkeypatch.setattr(pool_module, "MAX_IDLE", 1)
    gate = threading.Event()
    gateway.standing = replies.gated(gate)
    pool = new_pool(gateway.url + "/chat", pools)
    threads = [threading.Thread(target=pool.post, args=(new_call(), {"message": "x"})) for _ in range(3)]
    for thread in threads:
        thread.start()
    gateway.until_called(3)
    gate.set()
    for thread in threads:
        thread.join(WITHIN_S)
    left = [gateway.wait_disconnect_s(call, within_s=1.0) is not None for call in gateway.calls]
    assert sorted(left) == [False, True, True]


@pytest.mark.parametrize(
    ("ending", "code"),
    [("deadline", "gateway_timeout"), ("client_gone", "client_gone"), ("shutting_down", "shutting_down")],
)
def test_a_call_can_be_ended_from_outside(gateway: ScriptedGateway, pools: list[Pool], ending: str, code: str) -> None:
    """The connection to the gateway is closed at once, and the error has the reason."""
    gateway.standing = replies.silent
    call, codes = new_call(), []

    def ask() -> None:
        with pytest.raises(ApiError) as caught:
            new_pool(gateway.url + "/chat", pools).post(call, {"message": "x"})
        codes.append(caught.value.code)

    client_thread = threading.Thread(target=ask)
    client_thread.start()
    exchange = gateway.until_called()
    call.end(ending)  # type: ignore[arg-type]
    assert gateway.wait_disconnect_s(exchange, within_s=WITHIN_S) is not None
    client_thread.join(WITHIN_S)
    assert codes == [code]


def test_an_ended_call_is_not_sent(gateway: ScriptedGateway, pools: list[Pool]) -> None:
    """A call that ended before it began is not written."""
    call = new_call()
    call.end("client_gone")
    with pytest.raises(ApiError):
        new_pool(gateway.url + "/chat", pools).post(call, {"message": "x"})
    assert gateway.calls == ()


def test_every_split_of_the_answer_is_read(gateway: ScriptedGateway, pools: list[Pool]) -> None:
    """The bytes of a character may arrive separately."""
    body = replies.encoded(replies.lumen("가👋"))
    pool = new_pool(gateway.url + "/chat", pools)
    gateway.script(*(replies.split(offset, 0.001, body) for offset in range(1, len(body))))
    for _ in range(1, len(body)):
        assert pool.post(new_call(), {"message": "x"}).body == body


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (CHUNKED + b"5\r\nab", "gateway_connection_lost"),
        (CHUNKED + b"zz\r\n", "gateway_connection_lost"),
        (CHUNKED + b"-1\r\nbody", "gateway_invalid_response"),
        (CHUNKED + b"-5\r\nbody", "gateway_invalid_response"),
        (CHUNKED + b"4\r\nbody\r\n-1\r\nmore", "gateway_invalid_response"),
        (CHUNKED + b"4\r\nbody\r\n-5\r\nmore", "gateway_invalid_response"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", "gateway_connection_lost"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000, "gateway_invalid_response"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "gateway_invalid_response"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n" + b"x" * 1_000_001, "gateway_invalid_response"),
    ],
)
def test_broken_answers(gateway: ScriptedGateway, pools: list[Pool], raw: bytes, code: str) -> None:
    """An incomplete answer is a lost connection; one that is not HTTP or too large is an invalid response."""
    gateway.standing = replies.raw(raw)
    with pytest.raises(ApiError) as caught:
        new_pool(gateway.url + "/chat", pools).post(new_call(), {"message": "x"})
    assert caught.value.code == code


def test_interim_responses_are_skipped(gateway: ScriptedGateway, pools: list[Pool]) -> None:
    """Such as 100 Continue and 103 Early Hints."""
    early = b"HTTP/1.1 100 Continue\r\n\r\n" + b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 2
    gateway.standing = replies.raw(early + replies.head(4) + b"body")
    assert new_pool(gateway.url + "/chat", pools).post(new_call(), {"message": "x"}).body == b"body"


def test_an_answer_until_the_end_of_the_connection(gateway: ScriptedGateway, pools: list[Pool]) -> None:
    """Without a length the body ends with the connection, which is not used again."""
    gateway.standing = replies.raw(b"HTTP/1.0 200 OK\r\n\r\nbody")
    pool = new_pool(gateway.url + "/chat", pools)
    assert [pool.post(new_call(), {"message": "x"}).body for _ in range(2)] == [b"body", b"body"]
    assert gateway.connections == 2


SURPLUS = {
    "body-longer-than-its-length": replies.head(4) + b"body" + b"surplus",
    "another-answer": (replies.head(4) + b"body") * 2,
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\nsurplus",
    "two-lengths": replies.head(4, headers=(("Content-Length", "4"),)) + b"body",
    "length-and-chunked": replies.head(4, headers=(("Transfer-Encoding", "chunked"),)) + b"4\r\nbody\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("data", SURPLUS.values(), ids=SURPLUS)
def test_a_connection_with_surplus_bytes_is_not_used_again(
    gateway: ScriptedGateway, pools: list[Pool], data: bytes
) -> None:
    """The answer is valid, but the next call makes a new connection."""
    gateway.script(lambda exchange: exchange.send(data))
    pool = new_pool(gateway.url + "/chat", pools)
    assert pool.post(new_call(), {"message": "x"}).body == b"body"
    assert pool.post(new_call(), {"message": "y"}).status == 200
    assert gateway.connections == 2


def test_a_look_up_can_be_aborted(pools: list[Pool], monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver that hangs does not delay the end of a call."""
    hanging, hung = threading.Event(), threading.Event()

    def getaddrinfo(*_: object, **__: object) -> list[object]:
        hung.set()
        hanging.wait(WITHIN_S)
        raise OSError

    monkeypatch.setattr("socket.getaddrinfo", getaddrinfo)
    pool = new_pool("http://localhost:1/chat", pools)
    call = new_call()
    outcome: list[bool] = []

    def ask() -> None:
        with pytest.raises(NotSent) as caught:
            pool.post(call, {"message": "x"})
        outcome.append(caught.value.is_transient)

    client_thread = threading.Thread(target=ask)
    client_thread.start()
    assert hung.wait(WITHIN_S)
    call.end("client_gone")
    until("left", lambda: outcome, within_s=1.0)
    hanging.set()
    client_thread.join(WITHIN_S)
