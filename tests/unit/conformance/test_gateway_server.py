"""The scripted gateway, as a client sees it: it records, echoes, and sends each fault."""

import socket
import threading
import time

import pytest

from lumen_conformance.gateway import replies
from lumen_conformance.gateway.exchange import Reply
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http.client import Connection, call


def test_request_is_recorded_and_echoed(gateway: ScriptedGateway) -> None:
    """Method, path, headers, body and time are recorded, and the nonce comes back."""
    before_s = time.monotonic()
    capture = call(gateway.url, "POST", "/chat", json={"message": "안녕 nonce-1"}, headers=[("X-Request-Id", "r1")])
    (one,) = gateway.chats
    assert (capture.status, capture.json()["response"], capture.json()["persona"]) == (
        200,
        "안녕 nonce-1",
        {"name": "세나"},
    )
    assert (one.number, one.connection, one.message, one.header("x-request-id")) == (1, 1, "안녕 nonce-1", "r1")
    assert before_s < one.at_mono_s < time.monotonic()
    assert gateway.until_called(1) == one


def test_half_a_surrogate_pair_is_echoed(gateway: ScriptedGateway) -> None:
    """Half a surrogate pair, which UTF-8 lacks, comes back as the escape of JSON."""
    capture = call(
        gateway.url, "POST", "/chat", body=b'{"message": "\\ud83c"}', headers=[("Content-Type", "application/json")]
    )
    assert (capture.status, capture.json()["response"]) == (200, "\ud83c")


def test_connections_have_numbers(gateway: ScriptedGateway) -> None:
    """Two requests on one connection, one on another; pieces of a body are joined."""
    with Connection(gateway.url) as connection:
        for _ in range(2):
            connection.call("POST", "/chat", json={"message": "a"})
    chunked = b"POST /chat HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    with socket.create_connection(("127.0.0.1", gateway.port)) as sock:
        sock.sendall(chunked)
        gateway.until_called(3)
    assert [one.connection for one in gateway.chats] == [1, 1, 2]
    assert gateway.chats[2].body == b"{}"


def test_script_comes_before_the_standing_reply(gateway: ScriptedGateway) -> None:
    """Each scripted reply is sent once."""
    gateway.script(
        replies.respond_with({"x": 1}, 503, headers=(("Retry-After", "7"),)), replies.answer_with("scripted")
    )
    first, second, third = (call(gateway.url, "POST", "/chat", json={"message": "m"}) for _ in range(3))
    assert (first.status, first.header("retry-after"), first.json()) == (503, "7", {"x": 1})
    assert [second.json()["response"], third.json()["response"]] == ["scripted", "m"]


@pytest.mark.parametrize(
    ("reply", "ended", "status"),
    [
        pytest.param(replies.reset_before_reading, "reset", None, id="reset-before-reading"),
        pytest.param(replies.reset_after_request, "reset", None, id="reset-after-request"),
        pytest.param(replies.reset_after_headers, "reset", 200, id="reset-after-headers"),
        pytest.param(replies.reset_mid_body, "reset", 200, id="reset-mid-body"),
        pytest.param(replies.truncated, "aborted", 200, id="truncated"),
        pytest.param(replies.garbage, "invalid", None, id="garbage"),
        pytest.param(replies.silent, "timeout", None, id="silent"),
        pytest.param(replies.drip(0.1), "timeout", 200, id="dripping"),
        pytest.param(replies.html, "complete", 200, id="html"),
        pytest.param(replies.split(3), "complete", 200, id="split"),
    ],
)
def test_faults(gateway: ScriptedGateway, reply: Reply, ended: str, status: int | None) -> None:
    """Each fault has the bytes that its name says, and the next request is answered."""
    gateway.script(reply)
    patience_s = 0.5 if ended == "timeout" else 10.0  # short only where it is waited out: the machine may be busy
    capture = call(gateway.url, "POST", "/chat", json={"message": "m"}, timeout_s=patience_s)
    assert (capture.ended, capture.status) == (ended, status)
    assert call(gateway.url, "POST", "/chat", json={"message": "m"}).status == 200


def test_gate_holds_until_it_opens(gateway: ScriptedGateway) -> None:
    """A request waits at the gate; the test opens the gate when the request has arrived."""
    gate = threading.Event()
    gateway.script(replies.gated(gate))

    def open_when_called() -> None:
        gateway.until_called(1)
        gate.set()

    opener = threading.Thread(target=open_when_called)
    opener.start()
    assert call(gateway.url, "POST", "/chat", json={"message": "m"}).status == 200
    opener.join()


def test_a_disconnect_is_noticed(gateway: ScriptedGateway) -> None:
    """The gateway notices that its client has closed the connection, even while it holds the answer."""
    gateway.standing = replies.silent
    assert call(gateway.url, "POST", "/chat", json={"message": "m"}, timeout_s=0.1).ended == "timeout"
    left_s = gateway.wait_disconnect_s(gateway.chats[0], within_s=5)
    assert left_s is not None
    assert left_s < 5


def test_outage_and_return(gateway: ScriptedGateway) -> None:
    """During an outage connections are refused; afterwards the same address answers."""
    url = gateway.url
    gateway.down()
    assert call(url, "GET", "/health").ended == "refused"
    gateway.up()
    assert call(url, "GET", "/health").status == 200


def test_stop_closes_everything() -> None:
    """Held requests are cut, no thread is left, and the port refuses."""
    before = threading.active_count()
    with ScriptedGateway(replies.silent) as gateway, socket.create_connection(("127.0.0.1", gateway.port)) as sock:
        sock.sendall(b"POST /chat HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        gateway.until_called(1)
        gateway.down()
        assert sock.recv(1) == b""
    assert threading.active_count() == before
    assert call(gateway.url, "GET", "/health").ended == "refused"


def test_malformed_requests_are_named(gateway: ScriptedGateway) -> None:
    """Bytes that are not HTTP are recorded, and answered as real servers do."""
    with socket.create_connection(("127.0.0.1", gateway.port)) as sock:
        sock.sendall(b"POST\r\n\r\n")
        assert sock.makefile("rb").read().startswith(b"HTTP/1.1 400 ")
    assert len(gateway.malformed) == 1
