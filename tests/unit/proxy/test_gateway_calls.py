"""Calls to the gateway: what each failure becomes, what is sent again, who else answers."""

from __future__ import annotations

import json
import socket
import threading
from functools import partial
from typing import TYPE_CHECKING

import pytest

from lumen_conformance.gateway import replies
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.ports import reserved_port
from lumen_conformance.waiting import until
from tests.unit.proxy.serving import serving

if TYPE_CHECKING:
    from lumen_conformance.gateway.exchange import Reply
    from lumen_conformance.http.capture import Capture

WITHIN_S = 10.0
NEVER_AGAIN = {"x-should-retry": "false"}
BIG = {"success": True, "persona": {"name": "n"}, "response": "x" * 3000}


def failure(got: Capture) -> tuple[int | None, str]:
    """Status and code of an error in the envelope."""
    assert got.ended == "complete"
    assert got.header("content-type") == "application/json; charset=utf-8"
    assert (got.header("x-request-id") or "").startswith("req_")
    return got.status, json.loads(got.body)["error"]["code"]


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
    """Each failure of a written call has its row, plain or streamed, on new and on reused connections."""
    reply, status, code, hints = FAILURES[name]
    with serving(gateway.url, LUMEN_TIMEOUT_S="0.6", LUMEN_MAX_RESPONSE_BYTES="2048") as served:
        assert served.chat("warm").status == 200
        for calls in (2, 3):
            gateway.script(reply)
            got = served.chat(stream=stream)
            assert failure(got) == (status, code)
            assert hints.items() <= dict(got.headers).items()
            assert len(gateway.chats) <= calls
        assert served.chat("still well").status == 200


def test_a_reset_before_anything_is_read(gateway: ScriptedGateway) -> None:
    """If the reset overtakes our writing, the call is tried again, else it is lost; it never runs twice."""
    gateway.script(replies.reset_before_reading)
    with serving(gateway.url) as served:
        got = served.chat()
        assert got.status == 200 or failure(got) == (502, "gateway_connection_lost")
    assert len(gateway.chats) <= 1


def test_an_unreachable_gateway_is_tried_three_times() -> None:
    """Refused: nothing was written, so it is tried again, twice, and then told with a hint to come back."""
    with reserved_port() as port, serving(f"http://127.0.0.1:{port}") as served:
        got = served.chat()
        assert failure(got) == (502, "gateway_unreachable")
        assert got.header("retry-after") == "2"
        assert b"lumen_retries_total 2.0" in served.get("/metrics").body


def test_a_gateway_that_comes_back_meanwhile_answers(gateway: ScriptedGateway) -> None:
    """A refused attempt is repeated, and the number of attempts is told."""
    with serving(gateway.url) as served:
        gateway.down()
        answers: list[Capture] = []
        asking = threading.Thread(target=lambda: answers.append(served.chat()))
        asking.start()
        until("retried", lambda: b"lumen_retries_total 0" not in served.get("/metrics").body, within_s=WITHIN_S)
        gateway.up()
        asking.join(WITHIN_S)
        got = answers[0]
        # Jitter decides whether the third attempt comes after up().
        assert got.json()["lumen_metadata"]["attempts"] > 1 if got.status == 200 else failure(got)[0] == 502


def test_a_name_that_does_not_exist() -> None:
    """DNS failure is unreachable, too."""
    with serving("http://gateway.invalid") as served:
        assert failure(served.chat(timeout_s=20)) == (502, "gateway_unreachable")


def test_a_gateway_that_accepts_no_connection() -> None:
    """A full backlog is a connect time-out: unreachable, within the time for connecting."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, socket.create_connection(full.getsockname()):
        url = f"http://127.0.0.1:{full.getsockname()[1]}"
        with serving(url, LUMEN_CONNECT_TIMEOUT_S="0.1", LUMEN_TIMEOUT_S="5") as served:
            got = served.chat()
            assert failure(got) == (502, "gateway_unreachable")
            assert got.elapsed_s < 2.0  # three times 0.1 s, and at most 0.75 s between them


def test_tls_that_is_none(gateway: ScriptedGateway) -> None:
    """A gateway that does not speak TLS is misconfigured, and nothing is tried again."""
    with serving(gateway.url.replace("http:", "https:")) as served:
        assert failure(served.chat()) == (502, "gateway_misconfigured")
        assert gateway.chats == ()


def test_connections_are_reused_until_they_end(gateway: ScriptedGateway) -> None:
    """One connection serves many calls; one that the gateway has closed is not used again."""
    with serving(gateway.url) as served:
        for _ in range(5):
            assert served.chat().status == 200
        assert gateway.connections == 1
        gateway.down()
        gateway.up()
        assert served.chat().status == 200
        assert [call.connection for call in gateway.chats] == [1] * 5 + [2]


def test_what_is_sent(gateway: ScriptedGateway) -> None:
    """The message, the persona of the model, the user; never the caller's key."""
    with serving(gateway.url) as served:
        served.chat("안녕 👋", model="lumen-elo", user="u-1", headers=(("Authorization", "Bearer canary"),))
    call = gateway.chats[0]
    assert call.json() == {"message": "안녕 👋", "persona": "square", "user_id": "u-1"}
    assert call.header("content-type") == "application/json; charset=utf-8"
    assert "canary" not in str(call)


def test_a_gone_client_frees_the_gateway(gateway: ScriptedGateway) -> None:
    """When the client hangs up, its gateway connection is closed within 5 s."""
    gateway.standing = replies.silent
    with serving(gateway.url) as served:
        for stream in (False, True):
            got = served.chat(timeout_s=0.2, stream=stream)
            assert got.ended == "timeout"
        for call in gateway.chats:
            left_s = gateway.wait_disconnect_s(call, within_s=5.0)
            assert left_s is not None
            assert left_s < 5.0


def test_the_breaker_opens_probes_and_closes(gateway: ScriptedGateway) -> None:
    """Failures in a row open it; then nothing reaches the gateway; one probe decides; a success closes it."""
    settings = {"LUMEN_BREAKER_FAILURES": "2", "LUMEN_BREAKER_OPEN_S": "0.3"}
    with serving(gateway.url, **settings) as served:
        gateway.script(*[replies.respond_with({}, 500)] * 2)
        assert [failure(served.chat())[1] for _ in range(2)] == ["gateway_error"] * 2
        got = served.chat()
        assert failure(got) == (503, "circuit_open")
        assert got.header("retry-after") == "1"
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
    """4xx and 429 say nothing about the gateway's health."""
    gateway.standing = FAILURES[name][0]
    with serving(gateway.url, LUMEN_BREAKER_FAILURES="1") as served:
        assert [failure(served.chat())[1] for _ in range(3)] == [FAILURES[name][2]] * 3


def test_a_gone_client_does_not_open_the_breaker(gateway: ScriptedGateway) -> None:
    """Whoever leaves says nothing about the gateway."""
    gateway.script(replies.silent)
    with serving(gateway.url, LUMEN_BREAKER_FAILURES="1") as served:
        assert served.chat(timeout_s=0.2).ended == "timeout"
        until("left", lambda: b"lumen_in_flight 0" in served.get("/metrics").body, within_s=WITHIN_S)
        assert served.chat().status == 200


@pytest.mark.parametrize("name", ["302", "500", "504", "silent", "reset-after-request", "html"])
def test_failures_open_the_breaker(gateway: ScriptedGateway, name: str) -> None:
    """The breaker opens for a gateway that fails or is none."""
    gateway.standing = FAILURES[name][0]
    with serving(gateway.url, LUMEN_BREAKER_FAILURES="1", LUMEN_TIMEOUT_S="0.6") as served:
        assert [failure(served.chat())[1] for _ in range(2)] == [FAILURES[name][2], "circuit_open"]


def test_tls_failures_open_the_breaker(gateway: ScriptedGateway) -> None:
    """So does one that cannot be trusted."""
    with serving(gateway.url.replace("http:", "https:"), LUMEN_BREAKER_FAILURES="1") as served:
        assert [failure(served.chat())[1] for _ in range(2)] == ["gateway_misconfigured", "circuit_open"]


def test_not_ready_while_a_probe_hangs(gateway: ScriptedGateway) -> None:
    """As long as every other chat would be refused."""
    with serving(gateway.url, LUMEN_BREAKER_FAILURES="1", LUMEN_BREAKER_OPEN_S="0") as served:
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


def test_too_many_at_once_are_told_so_and_health_still_answers(gateway: ScriptedGateway) -> None:
    """Beyond slots and queue 429; waiting too long, 429; /health at once all the while; then all is well."""
    gate = threading.Event()
    gateway.standing = replies.gated(gate)
    settings = {"LUMEN_MAX_CONCURRENCY": "2", "LUMEN_MAX_QUEUE": "1", "LUMEN_QUEUE_TIMEOUT_S": "0.3"}
    with serving(gateway.url, **settings) as served:
        results: list[Capture] = []
        threads = [threading.Thread(target=lambda: results.append(served.chat())) for _ in range(3)]
        for thread in threads[:2]:
            thread.start()
        gateway.until_called(2)
        threads[2].start()
        until("one waits", lambda: served.proxy.gateway.slots.queued, within_s=WITHIN_S)
        got = served.chat()
        assert failure(got) == (429, "concurrency_limit")
        assert got.header("retry-after") == "1"
        assert served.get("/health").elapsed_s < 1
        threads[2].join(WITHIN_S)
        assert failure(results[0]) == (429, "concurrency_limit")
        assert 0.3 <= results[0].elapsed_s < 2.0  # the queue's patience, not its default of 5 s
        gate.set()
        for thread in threads:
            thread.join(WITHIN_S)
        assert [got.status for got in results[1:]] == [200, 200]
        assert served.chat().status == 200


def test_who_waits_is_served_in_order(gateway: ScriptedGateway) -> None:
    """A queued call is answered when a place is free."""
    gate = threading.Event()
    gateway.standing = replies.gated(gate)
    with serving(gateway.url, LUMEN_MAX_CONCURRENCY="1", LUMEN_MAX_QUEUE="3") as served:
        threads = [threading.Thread(target=served.chat, args=(f"n{n}",)) for n in range(4)]
        asked = lambda n: len(gateway.chats) + served.proxy.gateway.slots.queued > n  # noqa: E731
        for n, thread in enumerate(threads):
            thread.start()
            until("asked or queued", partial(asked, n), within_s=WITHIN_S)
        gate.set()
        for thread in threads:
            thread.join(WITHIN_S)
    assert [call.message for call in gateway.chats] == ["n0", "n1", "n2", "n3"]
