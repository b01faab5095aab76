"""The embedded gateway and Cloud AI say what the real ones say."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lumen_conformance.http.client import call
from lumen_conformance.run import Run
from lumen_proxy import config
from lumen_proxy.sandbox.gateway import PERSONAS, embedded_channels


@pytest.fixture(scope="module")
def settings(run: Run) -> Iterator[config.Settings]:
    """Settings that lead to a sandbox."""
    loaded = config.load({"LUMEN_STATE_DIR": "state", "LUMEN_LOG_DIR": "log"})
    with embedded_channels(loaded) as sandboxed, run.answering(sandboxed.gateway_url, sandboxed.cloud_ai_url):
        yield sandboxed


@pytest.mark.parametrize("key", [*PERSONAS, "unheard-of", None])
@pytest.mark.parametrize("field", ["persona", "persona_key"])
def test_the_gateway_answers_as_the_persona(settings: config.Settings, key: str | None, field: str) -> None:
    """By either name of the field; the default is Sena; the question is in the answer."""
    answer = call(settings.gateway_url, "POST", "/chat", json={"message": "오늘은?", field: key})
    body = answer.json()
    expected = PERSONAS.get(str(key), PERSONAS["pen"])["name"]
    assert (answer.status, body["success"], body["persona"]["name"]) == (200, True, expected)
    assert "오늘은?" in body["response"]
    assert expected in body["response"]
    assert body["sources"] == ["sandbox"]
    assert set(body) == {"success", "persona", "response", "sources", "timestamp"}


def test_cloud_ai_answers_in_its_own_shape(settings: config.Settings) -> None:
    """Response, model, timestamp."""
    origin = settings.cloud_ai_url.removesuffix("/chat")
    body = call(origin, "POST", "/chat", json={"message": "누구?"}).json()
    assert set(body) == {"response", "model", "timestamp"}
    assert "누구?" in body["response"]
    assert call(origin, "GET", "/health").json()["pipeline_ready"] is True


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"message": ""}', b'{"message": 1}'])
def test_a_message_is_required(settings: config.Settings, body: bytes) -> None:
    """Anything else is 422, and never a traceback."""
    assert call(settings.gateway_url, "POST", "/chat", body=body).status == 422


def test_its_other_pages(settings: config.Settings) -> None:
    """/health, /personas and /status; the rest is not there."""
    pages = {path: call(settings.gateway_url, "GET", path) for path in ("/health", "/personas", "/status", "/api/chat")}
    assert [page.status for page in pages.values()] == [200, 200, 200, 404]
    assert set(pages["/health"].json()) == {"status", "service", "version", "google_ai", "timestamp"}
    assert pages["/personas"].json()["count"] == len(PERSONAS)


def test_both_are_gone_afterwards() -> None:
    """Nothing listens when the block has ended."""
    with embedded_channels(config.load({"LUMEN_STATE_DIR": "state", "LUMEN_LOG_DIR": "log"})) as sandboxed:
        assert call(sandboxed.gateway_url, "GET", "/health").status == 200
    assert call(sandboxed.gateway_url, "GET", "/health").ended == "refused"
