"""Cloud AI in place of the gateway: when it is asked, and what is told of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lumen_conformance.gateway import replies
from lumen_conformance.gateway.server import ScriptedGateway
from tests.unit.proxy.serving import serving
from tests.unit.proxy.test_gateway_calls import failure

if TYPE_CHECKING:
    from lumen_conformance.http.capture import Capture

FALLBACK = {"LUMEN_FALLBACK": "cloud_ai"}


@pytest.fixture
def cloud() -> ScriptedGateway:
    """Cloud AI, not yet opened."""
    return ScriptedGateway(replies.cloud_echo)


def test_cloud_ai_answers_when_the_gateway_cannot_be_reached(gateway: ScriptedGateway, cloud: ScriptedGateway) -> None:
    """With LUMEN_FALLBACK=cloud_ai an unreachable gateway, and an open breaker, are answered and disclosed."""
    settings = {"LUMEN_FALLBACK": "cloud_ai", "CLOUD_AI_API_KEY": "cloud-key", "LUMEN_BREAKER_FAILURES": "1"}
    with cloud, serving(gateway.url, CLOUD_AI_URL=cloud.url + "/chat", **settings) as served:
        assert served.chat().json()["lumen_metadata"]["channel"] == "gateway"
        gateway.down()
        for _ in range(2):
            got = served.chat("hello").json()
            assert got["lumen_metadata"]["channel"] == "cloud_ai"
            assert got["choices"][0]["message"]["content"] == "hello"
        assert served.get("/ready").status == 200
        assert cloud.chats[0].header("x-api-key") == "cloud-key"
        assert cloud.chats[0].json() == {"message": "hello"}
        assert b"lumen_fallbacks_total 2.0" in served.get("/metrics").body


def test_cloud_ai_is_not_asked_after_a_written_call(gateway: ScriptedGateway, cloud: ScriptedGateway) -> None:
    """A gateway that failed after it was asked may have been paid: nobody else is asked."""
    gateway.standing = replies.respond_with({}, 500)
    with cloud, serving(gateway.url, CLOUD_AI_URL=cloud.url, LUMEN_FALLBACK="cloud_ai") as served:
        assert failure(served.chat())[1] == "gateway_error"
        assert cloud.calls == ()


def metadata(got: Capture) -> dict[str, object]:
    """What is disclosed."""
    told: dict[str, object] = got.json()["lumen_metadata"]
    return told


def test_attempts_of_both_are_told(gateway: ScriptedGateway, cloud: ScriptedGateway) -> None:
    """Three at the gateway and one at Cloud AI are four; with an open breaker there is one."""
    gateway.down()
    with cloud, serving(gateway.url, CLOUD_AI_URL=cloud.url, LUMEN_BREAKER_FAILURES="1", **FALLBACK) as served:
        assert [metadata(served.chat())["attempts"] for _ in range(2)] == [4, 1]


def test_what_cloud_ai_does_not_take_is_told(gateway: ScriptedGateway, cloud: ScriptedGateway) -> None:
    """It knows neither users nor personas: a persona model and a user are named as ignored, by it alone."""
    asked: dict[str, Any] = {"model": "lumen-elo", "user": "u-1", "seed": 1}
    with cloud, serving(gateway.url, CLOUD_AI_URL=cloud.url, **FALLBACK) as served:
        assert metadata(served.chat(**asked))["ignored_parameters"] == ["seed"]
        gateway.down()
        assert metadata(served.chat(**asked))["ignored_parameters"] == ["model", "seed", "user"]
        assert metadata(served.chat(model="lumen-gateway"))["ignored_parameters"] == []
        assert b'"ignored_parameters":["model"]' in served.chat(model="lumen-elo", stream=True).body


def test_both_are_within_the_one_deadline(gateway: ScriptedGateway, cloud: ScriptedGateway) -> None:
    """A silent Cloud AI does not get a deadline of its own after the attempts at the gateway."""
    gateway.down()
    cloud.standing = replies.silent
    settings = {**FALLBACK, "LUMEN_TIMEOUT_S": "1.5"}
    with cloud, serving(gateway.url, CLOUD_AI_URL=cloud.url, **settings) as served:
        got = served.chat()
    assert failure(got) == (504, "gateway_timeout")
    assert got.elapsed_s < 2.5  # the deadline, and what the serving loop takes to look
