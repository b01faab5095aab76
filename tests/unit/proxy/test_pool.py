"""The pool: proxies of the environment, idle connections, what may be aborted."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from lumen_conformance.gateway import replies
from lumen_conformance.waiting import until
from lumen_proxy.errors import ApiError, Exit, Fatal
from lumen_proxy.net.route import Route
from lumen_proxy.worker.call import Call
from lumen_proxy.worker.upstream import pool as pool_module
from lumen_proxy.worker.upstream.connect import NotSent
from lumen_proxy.worker.upstream.pool import Pool

if TYPE_CHECKING:
    from lumen_conformance.gateway.server import ScriptedGateway

WITHIN_S = 10.0


def new_call(within_s: float = WITHIN_S) -> Call:
    """A call whose client stays."""
    return Call(within_s, lambda: False)


def new_pool(url: str, pools: list[Pool], connect_timeout_s: float = 2.0) -> Pool:
    """A pool with room for a megabyte."""
    pools.append(Pool(url, connect_timeout_s=connect_timeout_s, max_response_bytes=1_000_000))
    return pools[-1]


@pytest.mark.parametrize("variable", ["http_proxy", "all_proxy"])
def test_a_proxy_of_the_environment_is_used(
    gateway: ScriptedGateway, pools: list[Pool], monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """HTTP_PROXY gets the absolute address, and its password."""
    monkeypatch.setenv(variable, gateway.url.replace("http://", "http://user:pa%20ss@"))
    reply = new_pool("http://gateway.invalid/pre/chat", pools).post(new_call(), {"message": "x"})
    assert reply.status == 200
    call = gateway.calls[0]
    assert call.path == "http://gateway.invalid/pre/chat"
    assert call.header("host") == "gateway.invalid"
    assert call.header("proxy-authorization") == "Basic dXNlcjpwYSBzcw=="


@pytest.mark.parametrize("variable", ["http_proxy", "all_proxy"])
def test_loopback_needs_no_proxy(
    gateway: ScriptedGateway, pools: list[Pool], monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """A gateway on this machine is asked directly, whatever the environment says."""
    monkeypatch.setenv(variable, "http://proxy.invalid:1")
    assert new_pool(gateway.url + "/chat", pools).post(new_call(), {"message": "x"}).status == 200
    assert gateway.calls[0].path == "/chat"


def test_no_proxy_is_obeyed(pools: list[Pool], monkeypatch: pytest.MonkeyPatch, gateway: ScriptedGateway) -> None:
    """An address named in NO_PROXY is asked directly."""
    monkeypatch.setenv("http_proxy", gateway.url)
    monkeypatch.setenv("no_proxy", "gateway.invalid")
    with pytest.raises(NotSent):
        new_pool("http://gateway.invalid/chat", pools).post(new_call(), {"message": "x"})
    assert gateway.calls == ()


@pytest.mark.parametrize("address", ["http://[", "http://127.0.0.1:notaport", "http://a..b", "http://", "a b"])
def test_a_proxy_that_is_no_address(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told when the proxy starts (78), in a line that names variable and remedy, without its password."""
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
def test_a_proxy_that_can_be_used_or_is_not_used_is_let_through(
    url: str, proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody asks for is no reason to refuse; nor is a long password, or a long name before a port."""
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
def test_the_host_is_named_as_it_is_looked_up(url: str, host: str) -> None:
    """In ASCII, with its port, and a literal address in brackets."""
    assert f"\r\nHost: {host}\r\n".encode() in Route(url).head("POST", {"X": "y"})


def test_a_proxy_that_refuses_the_tunnel(
    gateway: ScriptedGateway, pools: list[Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """CONNECT refused: nothing of the call was written."""
    monkeypatch.setenv("https_proxy", gateway.url)
    gateway.standing = replies.respond_with({}, 407)
    with pytest.raises(NotSent):
        new_pool("https://gateway.invalid/chat", pools).post(new_call(), {"message": "secret"})
    assert gateway.calls[0].method == "CONNECT"
    assert "secret" not in str(gateway.calls)


def test_an_idle_connection_is_dropped(
    gateway: ScriptedGateway, pools: list[Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After some seconds of rest a new connection is made."""
    pool = new_pool(gateway.url + "/chat", pools)
    pool.post(new_call(), {"message": "x"})
    monkeypatch.setattr(pool_module, "IDLE_S", 0.0)
    pool.post(new_call(), {"message": "x"})
    assert gateway.connections == 2


def test_surplus_connections_are_closed(
    gateway: ScriptedGateway, pools: list[Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only so many are kept."""
    monkeypatch.setattr(pool_module, "KEPT", 1)
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
    """Whoever ends it, the gateway's connection is closed at once, and the reason is told."""
    gateway.standing = replies.silent
    call, codes = new_call(), []

    def ask() -> None:
        with pytest.raises(ApiError) as caught:
            new_pool(gateway.url + "/chat", pools).post(call, {"message": "x"})
        codes.append(caught.value.code)

    asking = threading.Thread(target=ask)
    asking.start()
    asked = gateway.until_called()
    call.end(ending)  # type: ignore[arg-type]
    assert gateway.wait_disconnect_s(asked, within_s=WITHIN_S) is not None
    asking.join(WITHIN_S)
    assert codes == [code]


def test_an_ended_call_is_not_sent(gateway: ScriptedGateway, pools: list[Pool]) -> None:
    """What was ended before it began reaches nobody."""
    call = new_call()
    call.end("client_gone")
    with pytest.raises(ApiError):
        new_pool(gateway.url + "/chat", pools).post(call, {"message": "x"})
    assert gateway.calls == ()


def test_every_split_of_the_answer_is_read(gateway: ScriptedGateway, pools: list[Pool]) -> None:
    """Bytes of a syllable may come apart."""
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
def test_answers_that_are_broken(gateway: ScriptedGateway, pools: list[Pool], raw: bytes, code: str) -> None:
    """An early end is a lost connection; what is no HTTP, or too large, is an invalid response."""
    gateway.standing = replies.raw(raw)
    with pytest.raises(ApiError) as caught:
        new_pool(gateway.url + "/chat", pools).post(new_call(), {"message": "x"})
    assert caught.value.code == code


def test_what_comes_before_the_answer_is_skipped(gateway: ScriptedGateway, pools: list[Pool]) -> None:
    """100 Continue and 103 Early Hints are not yet the answer."""
    early = b"HTTP/1.1 100 Continue\r\n\r\n" + b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 2
    gateway.standing = replies.raw(early + replies.head(4) + b"body")
    assert new_pool(gateway.url + "/chat", pools).post(new_call(), {"message": "x"}).body == b"body"


def test_an_answer_until_the_end_of_the_connection(gateway: ScriptedGateway, pools: list[Pool]) -> None:
    """Without a length the body ends with the connection, which is then not used again."""
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
    """The answer counts, but the gateway may close such a connection unread: the next call takes another."""
    gateway.script(lambda exchange: exchange.send(data))
    pool = new_pool(gateway.url + "/chat", pools)
    assert pool.post(new_call(), {"message": "x"}).body == b"body"
    assert pool.post(new_call(), {"message": "y"}).status == 200
    assert gateway.connections == 2


def test_looking_up_a_name_can_be_left(pools: list[Pool], monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver that hangs holds nobody longer than the time for connecting."""
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
        outcome.append(caught.value.again)

    asking = threading.Thread(target=ask)
    asking.start()
    assert hung.wait(WITHIN_S)
    call.end("client_gone")
    until("left", lambda: outcome, within_s=1.0)
    hanging.set()
    asking.join(WITHIN_S)
