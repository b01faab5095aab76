"""The paths of the API, and the error messages for other paths."""

from __future__ import annotations

import re

ENDPOINTS = (
    "POST /v1/chat/completions",
    "GET /v1/models",
    "GET /v1/models/{id}",
    "GET /health",
    "GET /ready",
    "GET /metrics",
)
SHOWN_CHARS = 80  # of a path in a message: longer than a path that a user types
SLASHES = re.compile(r"/{2,}")
UNPRINTABLE = re.compile(r"[^\x20-\x7e]")
# A pattern of the path → the remedy. The first match is used.
REMEDIES = (
    (
        re.compile(r".*/responses(/.*)?"),
        'The Responses API is not supported: use chat completions (older Codex: wire_api = "chat").',
    ),
    (re.compile(r".+(/chat/completions|/models)"), "Set the base URL of the client to {base_url}."),
    (re.compile(r".*/completions"), "Text completions are not supported: use chat completions."),
    (re.compile(r".*/embeddings"), "Embeddings are not supported."),
    (re.compile(r".*/messages"), "Anthropic's API is not supported: use an OpenAI-compatible client."),
    (
        re.compile(r"/api/.*"),
        "Ollama's API is not supported: use an OpenAI-compatible connection with the base URL {base_url}.",
    ),
)


def normalize(path: str) -> str:
    """The path without doubled slashes and without one at its end. A redirect would turn a POST into a GET."""
    return SLASHES.sub("/", path).rstrip("/") or "/"


def not_found(method: str, path: str, host: str) -> str:
    """The message for a path that does not exist; `host` is the Host header."""
    wrong, listed = f"This path does not exist: {_shown(method, path)}.", f"Endpoints: {', '.join(ENDPOINTS)}."
    return " ".join(filter(None, [wrong, remedy(path, host), listed]))


def not_allowed(method: str, path: str, host: str, allowed: str) -> str:
    """The message for a method that a path does not support."""
    wrong = f"This method is not supported here: {_shown(method, path)}; use {allowed}."
    exists = path.removeprefix("/v1") in {"/chat/completions", "/models"}
    return wrong if exists else f"{wrong} {remedy(path, host)}".rstrip()


def remedy(path: str, host: str) -> str:
    """What to change in the client; empty if unknown."""
    found = next((text for pattern, text in REMEDIES if pattern.fullmatch(path)), "")
    return found.format(base_url=f"http://{host}/v1")


def _shown(method: str, path: str) -> str:
    return UNPRINTABLE.sub("?", f"{method} {path}"[:SHOWN_CHARS])
