"""Paths as clients make them from a base URL: which are served, and the error messages for others."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http import client
from lumen_conformance.http.capture import Capture
from lumen_proxy.wire.endpoints import ENDPOINTS
from tests.unit.proxy.running_proxy import USER, RunningProxy, run_proxy

KEY = "sk-canary-0123456789"
QUESTION = {"model": "lumen-gateway", "messages": [USER]}


@pytest.fixture
def served(gateway: ScriptedGateway) -> Iterator[RunningProxy]:
    """A proxy with default settings."""
    with run_proxy(gateway.url) as it:
        yield it


def send(served: RunningProxy, method: str, path: str, *headers: tuple[str, str]) -> Capture:
    """Send a request without a body, or a valid chat request."""
    body = QUESTION if method == "POST" else None
    return client.call(served.url, method, path, json=body, headers=headers)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1//chat/completions"),
        ("POST", "//v1/chat/completions"),
        ("POST", "/v1/chat//completions"),
        ("POST", "///v1///chat///completions//"),
        ("POST", "/v1/chat/completions/"),
        ("POST", "//chat/completions"),
        ("GET", "//v1/models"),
        ("GET", "/v1/models/"),
        ("GET", "/v1//models/lumen-lua"),
        ("GET", "//health"),
        ("GET", "/v1/%6dodels"),
    ],
)
def test_served(served: RunningProxy, method: str, path: str) -> None:
    """A path with doubled slashes or one at its end is served without a redirect."""
    assert send(served, method, path).status == 200


BASE_URL = "Set the base URL of the client to http://localhost:8080/v1."


@pytest.mark.parametrize(
    ("method", "path", "remedy"),
    [
        ("POST", "/v1/v1/chat/completions", BASE_URL),
        ("GET", "/v1/v1/models", BASE_URL),
        ("POST", "/v1/chat/completions/chat/completions", BASE_URL),
        ("GET", "/v1/chat/completions/models", BASE_URL),
        ("POST", "/v1/chat/completions/v1/chat/completions", BASE_URL),
        ("POST", "/api/v1/chat/completions", BASE_URL),
        ("POST", "/v1/responses", 'use chat completions (older Codex: wire_api = "chat"'),
        ("GET", "/v1/responses/resp_1", "use chat completions"),
        ("POST", "/v1/chat/completions/responses", "use chat completions"),
        ("POST", "/v1/completions", "Text completions are not supported: use chat completions."),
        ("POST", "/v1/embeddings", "Embeddings are not supported."),
        ("POST", "/v1/messages", "Anthropic's API is not supported"),
        ("GET", "/api/tags", "use an OpenAI-compatible connection with the base URL http://localhost:8080/v1."),
        ("GET", "/v1", "This path does not exist: GET /v1."),
        ("GET", "/v1/../metrics", "This path does not exist: GET /v1/../metrics."),
        ("GET", "/%E0%80%8A%0A", "This path does not exist: GET /"),
    ],
)
def test_not_found(served: RunningProxy, method: str, path: str, remedy: str) -> None:
    """A wrong path is a 404 that lists the endpoints and, if known, the remedy."""
    capture = send(served, method, path, ("Host", "localhost:8080"))
    error = json.loads(capture.body)["error"]
    assert (capture.status, error["code"]) == (404, "not_found")
    assert remedy in error["message"]
    assert all(endpoint in error["message"] for endpoint in ENDPOINTS)
    assert error["message"].isprintable()


def test_not_found_without_json(served: RunningProxy) -> None:
    """The path is checked before the media type, so an upload to a wrong path is a 404."""
    capture = client.call(
        served.url, "POST", "/v1/audio/transcriptions", body=b"--x", headers=[("Content-Type", "a/b")]
    )
    assert capture.status == 404


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "//v1/chat/completions", "POST"),
        ("POST", "/v1/models/", "GET, HEAD"),
        ("OPTIONS", "/v1/models", "GET, HEAD"),
        ("PUT", "/health", "GET, HEAD"),
    ],
)
def test_wrong_method(served: RunningProxy, method: str, path: str, allow: str) -> None:
    """A wrong method is a 405 with the allowed methods in header and message."""
    capture = send(served, method, path)
    assert (capture.status, capture.header("allow")) == (405, allow)
    assert f"use {allow}." in json.loads(capture.body)["error"]["message"]


def test_full_endpoint_of_models_as_base_url(served: RunningProxy) -> None:
    """A chat request below /v1/models, where any name is allowed, has the remedy, too."""
    capture = send(served, "POST", "/v1/models/chat/completions", ("Host", "localhost:8080"))
    assert capture.status == 405
    assert BASE_URL in json.loads(capture.body)["error"]["message"]


@pytest.mark.parametrize("path", ["//v1//models", "/v1/models/", "/%76%31/models", "/health/../v1/models", "/v1//no"])
def test_each_path_needs_the_key(gateway: ScriptedGateway, path: str) -> None:
    """In any spelling; a foreign Host is refused before that."""
    with run_proxy(gateway.url, PROXY_API_KEY=KEY) as served:
        assert send(served, "GET", path).status == 401
        assert send(served, "GET", path, ("Host", "attacker.example")).status == 403
        assert [send(served, "GET", open_path).status for open_path in ("//health", "/ready/", "//")] == [200] * 3
