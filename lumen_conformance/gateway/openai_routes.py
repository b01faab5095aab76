"""The OpenAI addresses of the scripted gateway: chat completions, and a list with one model.

The gateway stores nothing. So ``GET /v1/chat/completions``, where OpenAI lists stored completions, is answered with
405: an empty list would be wrong after a request with ``store: true``. The deletion of a model is answered with 405,
too. OpenAI does not document compressed requests: they are answered with 415.
"""

from __future__ import annotations

from urllib.parse import unquote

from lumen_conformance.gateway.exchange import ReceivedRequest
from lumen_conformance.gateway.openai_answers import completion, events
from lumen_conformance.gateway.openai_requests import (
    CHAT_SUFFIX,
    JsonObject,
    error,
    is_openai,
    model,
    models,
    refusal,
    wants_stream,
)
from lumen_conformance.gateway.response import Headers, ScriptedResponse, plain, streamed

MODEL = "gpt-4o-mini"  # the one in the list; a chat may name any model
LISTED = "/v1/models"
MAX_BODY_BYTES = 50_000_000  # "up to 50 MB total payload size per request": OpenAI's guide to images and vision
UNCODED: Headers = (("Accept-Encoding", "identity"),)  # the accepted codings, as RFC 9110, 15.5.16 asks


def handles(call: ReceivedRequest) -> bool:
    """Return whether a request is for a path of OpenAI; all other paths are those of Lumen."""
    return call.route == "/v1" or call.route.startswith("/v1/") or is_openai(call)


def respond(call: ReceivedRequest, text: str) -> ScriptedResponse:
    """Return the response to any request; a valid chat request is answered with this text."""
    path, name = call.route, call.route.removeprefix(LISTED).removeprefix("/")
    method = "GET" if call.method == "HEAD" else call.method  # both have the same length (RFC 9110, 9.3.2)
    if path.endswith(CHAT_SUFFIX):
        allowed = {"POST"}
    elif path == LISTED or (path.startswith(f"{LISTED}/") and name):
        allowed = {"GET", "HEAD"}
    else:
        return plain(call, error(f"Invalid URL ({method} {path})"), 404)
    if call.method not in allowed:
        headers = (("Allow", ", ".join(sorted(allowed))),)
        return plain(call, error(f"Not allowed to {method} on {path}."), 405, headers=headers)
    return _chat(call, text) if path.endswith(CHAT_SUFFIX) else _models(call, unquote(name))


def _models(call: ReceivedRequest, name: str) -> ScriptedResponse:
    if name in {"", MODEL}:
        return plain(call, model(MODEL) if name else models(MODEL))
    unknown = error(f"The model '{name}' does not exist", param="model", code="model_not_found")
    return plain(call, unknown, 404)


def _chat(call: ReceivedRequest, text: str) -> ScriptedResponse:
    if refused := _unreadable(call):
        return refused
    if wrong := refusal(call):
        return plain(call, wrong, 400)
    return completed(call, completion(call, text))


def completed(call: ReceivedRequest, answer: JsonObject) -> ScriptedResponse:
    """Return the response with this answer: a stream, if the request asks for one."""
    return streamed(call, events(call, answer)) if wants_stream(call) else plain(call, answer)


def _unreadable(call: ReceivedRequest) -> ScriptedResponse | None:
    """Return the error for a body that is too large, compressed, or not of the media type JSON; None for others."""
    coding = (call.header("content-encoding") or "identity").strip().lower()
    media_type = (call.header("content-type") or "").partition(";")[0].strip().lower()
    if len(call.body) > MAX_BODY_BYTES:
        return plain(call, error(f"The request is larger than {MAX_BODY_BYTES} bytes."), 413)
    if coding != "identity":
        return plain(call, _unsupported("content encoding", coding), 415, headers=UNCODED)
    if media_type != "application/json":
        return plain(call, _unsupported("content type", media_type), 415)
    return None


def _unsupported(what: str, found: str) -> JsonObject:
    return error(
        f"Unsupported {what}: '{found}'. This API method only accepts 'application/json' without a content encoding."
    )
