"""Cloud AI as the fallback of the gateway: when it is called, and what the answer discloses."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

from lumen_conformance.gateway import replies
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_proxy.worker.call import ClientCall
from tests.unit.proxy.running_proxy import run_proxy
from tests.unit.proxy.test_gateway_calls import failure

if TYPE_CHECKING:
    from lumen_conformance.gateway.exchange import Exchange
    from lumen_conformance.http.capture import Capture

FALLBACK = {"LUMEN_FALLBACK": "cloud_ai"}


@pytest.fixture
def cloud() -> ScriptedGateway:
    """A scripted Cloud AI, not yet opened."""
    return ScriptedGateway(replies.cloud_echo)


def test_cloud_ai_answers_when_the_gateway_cannot_be_reached(gateway: ScriptedGateway, cloud: ScriptedGateway) -> None:
    """With LUMEN_FALLBACK=cloud_ai, for an unreachable gateway and an open breaker; the answer discloses it."""
    settings = {"LUMEN_FALLBACK": "cloud_ai", "CLOUD_AI_API_KEY": "cloud-key", "LUMEN_BREAKER_FAILURES": "1"}
    with cloud, run_proxy(gateway.url, CLOUD_AI_URL=cloud.url + "/chat", **settings) as served:
        assert served.chat().json()["lumen_metadata"]["channel"] == "gateway"
        gateway.down()
        for _ in range(2):
            capture = served.chat("hello").json()
            assert capture["lumen_metadata"]["channel"] == "cloud_ai"
            assert capture["choices"][0]["message"]["content"] == "hello"
        assert served.get("/ready").status == 200
        assert cloud.chats[0].header("x-api-key") == "cloud-key"
        assert cloud.chats[0].json() == {"message": "hello"}
        assert b"lumen_fallbacks_total 2.0" in served.get("/metrics").body


def test_cloud_ai_is_not_called_after_a_written_call(gateway: ScriptedGateway, cloud: ScriptedGateway) -> None:
    """The gateway may have answered, and the answer is paid for."""
    gateway.standing = replies.respond_with({}, 500)
    with cloud, run_proxy(gateway.url, CLOUD_AI_URL=cloud.url, LUMEN_FALLBACK="cloud_ai") as served:
        assert failure(served.chat())[1] == "gateway_error"
        assert cloud.calls == ()


def metadata(capture: Capture) -> dict[str, object]:
    """The metadata of an answer."""
    details: dict[str, object] = capture.json()["lumen_metadata"]
    return details


def test_attempts_of_both_are_counted(gateway: ScriptedGateway, cloud: ScriptedGateway) -> None:
    """Three at the gateway and one at Cloud AI are four; with an open breaker there is one."""
    gateway.down()
    with cloud, run_proxy(gateway.url, CLOUD_AI_URL=cloud.url, LUMEN_BREAKER_FAILURES="1", **FALLBACK) as served:
        assert [metadata(served.chat())["attempts"] for _ in range(2)] == [4, 1]


def test_parameters_that_cloud_ai_does_not_support(gateway: ScriptedGateway, cloud: ScriptedGateway) -> None:
    """A persona model and a user are listed as ignored, in its answers only."""
    fields: dict[str, Any] = {"model": "lumen-elo", "user": "u-1", "seed": 1}
    with cloud, run_proxy(gateway.url, CLOUD_AI_URL=cloud.url, **FALLBACK) as served:
        assert metadata(served.chat(**fields))["ignored_parameters"] == ["seed"]
        gateway.down()
        assert metadata(served.chat(**fields))["ignored_parameters"] == ["model", "seed", "user"]
        assert metadata(served.chat(model="lumen-gateway"))["ignored_parameters"] == []
        assert b'"ignored_parameters":["model"]' in served.chat(model="lumen-elo", stream=True).body


def test_one_deadline_covers_both(
    gateway: ScriptedGateway, cloud: ScriptedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A silent Cloud AI has no deadline of its own after the attempts at the gateway."""
    deadlines_s: list[float] = []

    class RecordedCall(ClientCall):
        def __init__(self, *args: Any) -> None:  # noqa: ANN401 - of any call
            super().__init__(*args)
            deadlines_s.append(self.deadline)

    def expire(exchange: Exchange) -> None:
        """Move the deadline of the call from 60 s after its begin to now."""
        (call,) = served.proxy.calls.active()
        deadlines_s.append(call.deadline)
        call.deadline = monotonic()
        replies.silent(exchange)

    monkeypatch.setattr("lumen_proxy.worker.chat.ClientCall", RecordedCall)
    gateway.down()
    cloud.standing = expire
    with cloud, run_proxy(gateway.url, CLOUD_AI_URL=cloud.url, LUMEN_TIMEOUT_S="60", **FALLBACK) as served:
        # Three attempts with pauses of at most 0.75 s. With a deadline of its own Cloud AI would be silent for 60 s.
        assert failure(served.chat(timeout_s=10.0)) == (504, "gateway_timeout")
    assert deadlines_s == [deadlines_s[0]] * 2
