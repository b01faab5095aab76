"""Gateway calls: the error for each failure, retries, the breaker, and the concurrency limit."""

from __future__ import annotations

import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import pytest

from lumen_conformance.gateway import replies
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.ports import reserved_port
from lumen_conformance.waiting import until
from tests.unit.proxy.running_proxy import run_proxy

if TYPE_CHECKING:
    from lumen_conformance.gateway.exchange import Reply
    from lumen_conformance.http.capture import Capture

WITHIN_S = 10.0
NEVER_AGAIN = {"x-should-retry": "false"}
BIG = {"success": True, "persona": {"name": "n"}, "response": "x" * 3000}


def failure(capture: Capture) -> tuple[int | None, str]:
    """Status and code of an error."""
    assert capture.ended == "complete"
    assert capture.header("content-type") == "application/json; charset=utf-8"
    assert (capture.header("x-request-id") or "").startswith("req_")
    return capture.status, json.loads(capture.body)["error"]["code"]


FAILURES: dict[str, tuple[Reply, int, str, dict[str, str]]] = {
    "silent": (replies.silent, 504, "gateway_timeout", NEVER_AGAIN),
    "dripping": (replies.drip(0.1), 504, "gateway_timeout", NEVER_AGAIN),
    "reset-after-request": (replies.reset_after_request, 502, "gateway_connection_lost", NEVER_AGAIN),
    "reset-after-headers": (replies.reset_after_headers, 502, "gateway_connection_lost", NEVER_AGAIN),
    "reset-mid-body": (replies.reset_mid_body, 502, "gateway_connection_lost", NEVER_AGAIN),
    "truncated": (replies.truncated, 502, "gateway_connection_lost", NEVER_AGAIN),
    "closed": (replies.raw(b""), 502, "gateway_connection_lost", NEVER_AGAIN),
    "garbage": (replies.garbage, 502, "gateway_invalid_response", NEVER_AGAIN),
    "html": (replies.html, 502, "gateway_invalid_response", NEVER_AGAIN),
    "not-json": (replies.respond_with(b"{"), 502, "gateway_invalid_response", NEVER_AGAIN),
    "wrong-shape": (replies.respond_with({"answer": "x"}), 502, "gateway_invalid_response", NEVER_AGAIN),
    "too-large": (replies.respond_with(BIG), 502, "gateway_invalid_response", NEVER_AGAIN),
    "declined": (replies.answer_with("no", success=False, error="sorry"), 502, "gateway_declined", NEVER_AGAIN),
    "empty": (replies.answer_with(""), 502, "gateway_empty_response", NEVER_AGAIN),
    "400": (replies.respond_with({}, 400), 400, "gateway_rejected", {}),
    "401": (replies.respond_with({}, 401), 502, "gateway_auth_failed", NEVER_AGAIN),
    "302": (replies.respond_with({}, 302, headers=(("Location", "/"),)), 502, "gateway_misconfigured", NEVER_AGAIN),
    "404": (replies.respond_with({}, 404), 502, "gateway_misconfigured", NEVER_AGAIN),
    "408": (replies.respond_with({}, 408), 504, "gateway_timeout", NEVER_AGAIN),
    "413": (replies.respond_with({}, 413), 400, "context_length_exceeded", {}),
    "429": (
        replies.respond_with({}, 429, headers=(("Retry-After", "9"),)),
        429,
        "rate_limit_exceeded",
        {"retry-after": "9"},
    ),
    "500": (replies.respond_with({}, 500), 502, "gateway_error", NEVER_AGAIN),
    "503": (
        replies.respond_with({}, 503, headers=(("Retry-After", "300"),)),
        503,
        "gateway_unavailable",
        {"retry-after": "120"},
    ),
    "504": (replies.respond_with({}, 504), 504, "gateway_timeout", NEVER_AGAIN),
}


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_has_its_status_and_is_never_sent_twice(gateway: ScriptedGateway, name: str, stream: bool) -> None:  # noqa: FBT001
    """For each failure of a written call, plain or streamed, on new and on reused connections."""
    reply, status, code, hints = FAILURES[name]
    with run_proxy(gateway.url, LUMEN_TIMEOUT_S="0.6", LUMEN_MAX_RESPONSE_BYTES="2048") as served:
        assert served.chat("warm").status == 200
        for calls in (2, 3):
            gateway.script(reply)
            capture = served.chat(stream=stream)
            assert failure(capture) == (status, code)
            assert hints.items() <= dict(capture.headers).items()
            assert len(gateway.chats) <= calls
        assert served.chat("still well").status == 200


def test_a_reset_before_anything_is_read(gateway: ScriptedGateway) -> None:
    """If the reset arrives before the call is written, the call is repeated, else it is lost. It never runs twice."""
    gateway.script(replies.reset_before_reading)
    with run_proxy(gateway.url) as served:
        capture = served.chat()
        assert capture.status == 200 or failure(capture) == (502, "gateway_connection_lost")
    assert len(gateway.chats) <= 1


def test_an_unreachable_gateway_is_tried_three_times() -> None:
    """A refused connection is tried again twice, since nothing was written; the error has Retry-After."""
    with reserved_port() as port, run_proxy(f"http://127.0.0.1:{port}") as served:
        capture = served.chat()
        assert failure(capture) == (502, "gateway_unreachable")
        assert capture.header("retry-after") == "2"
        assert b"lumen_retries_total 2.0" in served.get("/metrics").body


def test_a_gateway_that_comes_back_meanwhile_answers(gateway: ScriptedGateway) -> None:
    """A refused attempt is repeated, and the answer has the number of attempts."""
    with run_proxy(gateway.url) as served:
        gateway.down()
        answers: list[Capture] = []
        client_thread = threading.Thread(target=lambda: answers.append(served.chat()))
        client_thread.start()
        until("retried", lambda: b"lumen_retries_total 0" not in served.get("/metrics").body, within_s=WITHIN_S)
        gateway.up()
        client_thread.join(WITHIN_S)
        capture = answers[0]
        # Jitter decides whether the third attempt is after up().
        assert capture.json()["lumen_metadata"]["attempts"] > 1 if capture.status == 200 else failure(capture)[0] == 502


def test_a_name_that_does_not_exist() -> None:
    """A failed look-up is `gateway_unreachable`, too."""
    with run_proxy("http://gateway.invalid") as served:
        assert failure(served.chat(timeout_s=20)) == (502, "gateway_unreachable")


def test_a_gateway_that_accepts_no_connection() -> None:
    """A full backlog is `gateway_unreachable` after the connect time-out."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, socket.create_connection(full.getsockname()):
        url = f"http://127.0.0.1:{full.getsockname()[1]}"
        with run_proxy(url, LUMEN_CONNECT_TIMEOUT_S="0.1") as served:
            # Three times 0.1 s and at most 0.75 s between them; 9 s with the default time-out, 60 s without any.
            assert failure(served.chat(timeout_s=7.0)) == (502, "gateway_unreachable")


def test_connections_are_reused_until_they_end(gateway: ScriptedGateway) -> None:
    """One connection serves many calls; a connection that the gateway closed is not used again."""
    with run_proxy(gateway.url) as served:
        for _ in range(5):
            assert served.chat().status == 200
        assert gateway.connections == 1
        gateway.down()
        gateway.up()
        assert served.chat().status == 200
        assert [call.connection for call in gateway.chats] == [1] * 5 + [2]


def test_what_is_sent(gateway: ScriptedGateway) -> None:
    """The message, the persona of the model and the user, but not the key of the client."""
    with run_proxy(gateway.url) as served:
        served.chat("안녕 👋", model="lumen-elo", user="u-1", headers=(("Authorization", "Bearer canary"),))
    call = gateway.chats[0]
    assert call.json() == {"message": "안녕 👋", "persona": "square", "user_id": "u-1"}
    assert call.header("content-type") == "application/json; charset=utf-8"
    assert "canary" not in str(call)


def test_a_disconnected_client_ends_its_gateway_call(gateway: ScriptedGateway) -> None:
    """The connection to the gateway is closed within 5 s."""
    gateway.standing = replies.silent
    with run_proxy(gateway.url) as served:
        for stream in (False, True):
            capture = served.chat(timeout_s=0.2, stream=stream)
            assert capture.ended == "timeout"
        for call in gateway.chats:
            left_s = gateway.wait_disconnect_s(call, within_s=5.0)
            assert left_s is not None
            assert left_s < 5.0


def test_the_breaker_opens_probes_and_closes(gateway: ScriptedGateway) -> None:
    """Failures in a row open it, and no call reaches the gateway; one probe decides; a success closes it."""
    settings = {"LUMEN_BREAKER_FAILURES": "2", "LUMEN_BREAKER_OPEN_S": "0.3"}
    with run_proxy(gateway.url, **settings) as served:
        gateway.script(*[replies.respond_with({}, 500)] * 2)
        assert [failure(served.chat())[1] for _ in range(2)] == ["gateway_error"] * 2
        capture = served.chat()
        assert failure(capture) == (503, "circuit_open")
        assert capture.header("retry-after") == "1"
        assert failure(served.get("/ready")) == (503, "circuit_open")
        assert served.get("/health").status == 200
        assert len(gateway.chats) == 2
        until("ready for a probe", lambda: served.get("/ready").status == 200, within_s=WITHIN_S)
        gateway.script(replies.respond_with({}, 500))
        assert failure(served.chat())[1] == "gateway_error"
        assert failure(served.chat())[1] == "circuit_open"
        until("ready for a probe", lambda: served.get("/ready").status == 200, within_s=WITHIN_S)
        assert [served.chat().status for _ in range(3)] == [200] * 3


@pytest.mark.parametrize("name", ["400", "401", "404", "408", "413", "429"])
def test_refusals_do_not_open_the_breaker(gateway: ScriptedGateway, name: str) -> None:
    """4xx and 429 are neutral."""
    gateway.standing = FAILURES[name][0]
    with run_proxy(gateway.url, LUMEN_BREAKER_FAILURES="1") as served:
        assert [failure(served.chat())[1] for _ in range(3)] == [FAILURES[name][2]] * 3


def test_a_disconnected_client_does_not_open_the_breaker(gateway: ScriptedGateway) -> None:
    """Its call is neutral."""
    gateway.script(replies.silent)
    with run_proxy(gateway.url, LUMEN_BREAKER_FAILURES="1") as served:
        assert served.chat(timeout_s=0.2).ended == "timeout"
        until("left", lambda: b"lumen_in_flight 0" in served.get("/metrics").body, within_s=WITHIN_S)
        assert served.chat().status == 200


@pytest.mark.parametrize("name", ["302", "500", "504", "silent", "reset-after-request", "html"])
def test_failures_open_the_breaker(gateway: ScriptedGateway, name: str) -> None:
    """The breaker opens for a gateway that fails, and for a server that is no gateway."""
    gateway.standing = FAILURES[name][0]
    with run_proxy(gateway.url, LUMEN_BREAKER_FAILURES="1", LUMEN_TIMEOUT_S="0.6") as served:
        assert [failure(served.chat())[1] for _ in range(2)] == [FAILURES[name][2], "circuit_open"]


def test_tls_failures_open_the_breaker(gateway: ScriptedGateway) -> None:
    """The breaker opens for a gateway without TLS, too, and no call is written."""
    with run_proxy(gateway.url.replace("http:", "https:"), LUMEN_BREAKER_FAILURES="1") as served:
        assert [failure(served.chat())[1] for _ in range(2)] == ["gateway_misconfigured", "circuit_open"]
    assert gateway.chats == ()


def test_not_ready_while_a_probe_hangs(gateway: ScriptedGateway) -> None:
    """Meanwhile each other chat would be refused."""
    with run_proxy(gateway.url, LUMEN_BREAKER_FAILURES="1", LUMEN_BREAKER_OPEN_S="0") as served:
        gate = threading.Event()
        gateway.script(replies.respond_with({}, 500), replies.gated(gate))
        served.chat()
        assert served.get("/ready").status == 200
        probe = threading.Thread(target=served.chat)
        probe.start()
        gateway.until_called(2)
        assert failure(served.get("/ready")) == (503, "circuit_open")
        assert failure(served.chat()) == (503, "circuit_open")
        gate.set()
        probe.join(WITHIN_S)
        assert served.get("/ready").status == 200


def test_too_many_chats_are_refused_and_health_answers(gateway: ScriptedGateway) -> None:
    """429 beyond slots and queue; /health answers meanwhile; afterwards chats are answered."""
    gate = threading.Event()
    gateway.standing = replies.gated(gate)
    # The queued chat waits until the gate opens, so all threads of chats are in use when /health is called.
    settings = {"LUMEN_MAX_CONCURRENCY": "2", "LUMEN_MAX_QUEUE": "1", "LUMEN_QUEUE_TIMEOUT_S": "60"}
    with run_proxy(gateway.url, **settings) as served, ThreadPoolExecutor(3) as pool:
        chats = [pool.submit(served.chat) for _ in range(3)]
        until("one waits", lambda: len(gateway.chats) == 2 and served.proxy.gateway.limit.queued, within_s=WITHIN_S)
        capture = served.chat()
        assert failure(capture) == (429, "concurrency_limit")
        assert capture.header("retry-after") == "1"
        assert served.get("/health").status == 200
        gate.set()
        assert [chat.result(WITHIN_S).status for chat in chats] == [200] * 3
        assert served.chat().status == 200


def test_a_queued_chat_is_refused_after_the_queue_time_out(gateway: ScriptedGateway) -> None:
    """Not before, and with the time-out of the settings, not the default."""
    gate = threading.Event()
    gateway.standing = replies.gated(gate)
    with (
        run_proxy(gateway.url, LUMEN_MAX_CONCURRENCY="1", LUMEN_QUEUE_TIMEOUT_S="0.3") as served,
        ThreadPoolExecutor(1) as pool,
    ):
        first = pool.submit(served.chat)
        gateway.until_called()
        capture = served.chat()
        assert failure(capture) == (429, "concurrency_limit")
        assert capture.elapsed_s >= 0.3
        assert served.proxy.gateway.limit._timeout_s == 0.3  # noqa: SLF001 - a busy machine may need the default of 5 s
        gate.set()
        assert first.result(WITHIN_S).status == 200


def test_queued_calls_are_answered_in_order(gateway: ScriptedGateway) -> None:
    """A queued call is answered when a slot is free."""
    gate = threading.Event()
    gateway.standing = replies.gated(gate)
    with run_proxy(gateway.url, LUMEN_MAX_CONCURRENCY="1", LUMEN_MAX_QUEUE="3") as served:
        threads = [threading.Thread(target=served.chat, args=(f"n{n}",)) for n in range(4)]
        has_arrived = lambda n: len(gateway.chats) + served.proxy.gateway.limit.queued > n  # noqa: E731
        for n, thread in enumerate(threads):
            thread.start()
            until("asked or queued", partial(has_arrived, n), within_s=WITHIN_S)
        gate.set()
        for thread in threads:
            thread.join(WITHIN_S)
    assert [call.message for call in gateway.chats] == ["n0", "n1", "n2", "n3"]
