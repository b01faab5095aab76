"""The embedded gateway and Cloud AI respond in the format of the real ones."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lumen_conformance.http.client import call
from lumen_conformance.run import Run
from lumen_proxy import config
from lumen_proxy.sandbox.gateway import PERSONAS, embedded_channels


@pytest.fixture(scope="module")
def settings(run: Run) -> Iterator[config.Settings]:
    """Settings with the addresses of a sandbox."""
    loaded = config.load({"LUMEN_STATE_DIR": "state", "LUMEN_LOG_DIR": "log"})
    with embedded_channels(loaded) as sandboxed, run.allow_ports(sandboxed.gateway_url, sandboxed.cloud_ai_url):
        yield sandboxed


@pytest.mark.parametrize("key", [*PERSONAS, "unheard-of", None])
@pytest.mark.parametrize("field", ["persona", "persona_key"])
def test_the_gateway_answers_as_the_persona(settings: config.Settings, key: str | None, field: str) -> None:
    """The gateway answers as the requested persona, by either field name, and repeats the question."""
    answer = call(settings.gateway_url, "POST", "/chat", json={"message": "오늘은?", field: key})
    body = answer.json()
    expected = PERSONAS.get(str(key), PERSONAS["pen"])["name"]
    assert (answer.status, body["success"], body["persona"]["name"]) == (200, True, expected)
    assert "오늘은?" in body["response"]
    assert expected in body["response"]
    assert body["sources"] == ["sandbox"]
    assert set(body) == {"success", "persona", "response", "sources", "timestamp"}


def test_cloud_ai_answers_in_its_own_shape(settings: config.Settings) -> None:
    """Cloud AI answers with response, model and timestamp."""
    origin = settings.cloud_ai_url.removesuffix("/chat")
    body = call(origin, "POST", "/chat", json={"message": "누구?"}).json()
    assert set(body) == {"response", "model", "timestamp"}
    assert "누구?" in body["response"]
    assert call(origin, "GET", "/health").json()["pipeline_ready"] is True


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"message": ""}', b'{"message": 1}'])
def test_a_message_is_required(settings: config.Settings, body: bytes) -> None:
    """A request without a message gets 422."""
    assert call(settings.gateway_url, "POST", "/chat", body=body).status == 422


def test_other_paths(settings: config.Settings) -> None:
    """The gateway has /health, /personas and /status, and 404 for other paths."""
    pages = {path: call(settings.gateway_url, "GET", path) for path in ("/health", "/personas", "/status", "/api/chat")}
    assert [page.status for page in pages.values()] == [200, 200, 200, 404]
    assert set(pages["/health"].json()) == {"status", "service", "version", "google_ai", "timestamp"}
    assert pages["/personas"].json()["count"] == len(PERSONAS)


def test_the_servers_stop_with_the_block() -> None:
    """The servers do not listen after the block."""
    with embedded_channels(config.load({"LUMEN_STATE_DIR": "state", "LUMEN_LOG_DIR": "log"})) as sandboxed:
        assert call(sandboxed.gateway_url, "GET", "/health").status == 200
    assert call(sandboxed.gateway_url, "GET", "/health").ended == "refused"
