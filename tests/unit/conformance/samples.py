"""Captures for unit tests: valid exchanges, and functions that make one defect in them."""

import copy
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from lumen_conformance.http.client import Capture, request_bytes

BASE = "http://127.0.0.1:8080"
NOW_S = 1_761_268_140.0
TEXT = "안녕하세요, \u2028반갑습니다 👩‍👩‍👧‍👦."
QUESTION = {"model": "lumen-gateway", "messages": [{"role": "user", "content": "안녕"}]}
USAGE = {"prompt_tokens": 2, "completion_tokens": 16, "total_tokens": 18}
ANSWER: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": int(NOW_S),
    "model": "lumen-gateway",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": TEXT, "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": USAGE,
}
ERROR: dict[str, Any] = {
    "error": {"message": "messages is empty", "type": "invalid_request_error", "param": "messages", "code": None}
}
PIECES = (TEXT[:5], TEXT[5:9], TEXT[9:])
ABSENT = object()
Headers = Mapping[str, str]


def edited(value: Any, *edits: tuple[str, object]) -> Any:  # noqa: ANN401 -- any JSON
    """A copy with changes at dotted paths; ``ABSENT`` removes a key."""
    value = copy.deepcopy(value)
    for path, new in edits:
        *steps, last = (int(step) if step.isdigit() else step for step in path.split("."))
        at = value
        for step in steps:
            at = at[step]
        if new is ABSENT:
            del at[last]
        else:
            at[last] = new
    return value


def encoded(value: object) -> bytes:
    """JSON of a value; bytes are returned unchanged."""
    return value if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False).encode()


def ascii_encoded(value: object) -> bytes:
    """JSON of a value with escapes for all characters outside ASCII; bytes are returned unchanged."""
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def plain(
    body: object = ANSWER,
    *,
    status: int = 200,
    media_type: str = "application/json",
    asked: Mapping[str, object] | None = None,
) -> Capture:
    """A plain answer; ``asked`` adds fields to the request."""
    headers = (("content-type", media_type), ("x-request-id", "req-1"))
    return _capture(encoded(body), status, headers, {**QUESTION, **(asked or {})})


def error(body: object = ERROR, status: int = 400, media_type: str = "application/json") -> Capture:
    """An error."""
    return plain(body, status=status, media_type=media_type)


def chunk(delta: object, finish: object = None, **fields: object) -> dict[str, Any]:
    """A chunk with one choice; ``fields`` adds or replaces fields."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    head = {key: ANSWER[key] for key in ("id", "created", "model")}
    return {**head, "object": "chat.completion.chunk", "choices": [choice], **fields}


def chunks(pieces: Iterable[str] = PIECES) -> list[dict[str, Any]]:
    """The chunks of a stream: role, content, finish_reason."""
    role, finish = chunk({"role": "assistant", "content": ""}), chunk({}, "stop")
    return [role, *(chunk({"content": piece}) for piece in pieces), finish]


def with_usage() -> list[dict[str, Any]]:
    """The chunks of a stream with usage."""
    return [{**each, "usage": None} for each in chunks()] + [chunk({}, choices=[], usage=USAGE)]


def framed(events: Iterable[object], end: bytes = b"\n\n", prefix: bytes = b"data: ") -> bytes:
    """Events as bytes, with ``[DONE]`` at the end."""
    return b"".join(prefix + encoded(event) + end for event in [*events, b"[DONE]"])


def stream(
    body: bytes | Sequence[object] | None = None,
    *,
    media_type: str = "text/event-stream; charset=utf-8",
    headers: Iterable[tuple[str, str]] = (),
    asked: Mapping[str, object] | None = None,
) -> Capture:
    """A stream; a list is framed, bytes are used unchanged; ``asked`` adds fields to the request."""
    if not isinstance(body, bytes):
        body = framed(chunks() if body is None else body)
    fixed = [("content-type", media_type), ("cache-control", "no-cache"), ("x-accel-buffering", "no")]
    named = (*fixed, ("x-request-id", "req-1"), *headers)
    return _capture(body, 200, named, {**QUESTION, "stream": True, **(asked or {})})


def late(capture: Capture, **fields: Any) -> Capture:  # noqa: ANN401 -- fields of a capture
    """The same capture with another end."""
    return replace(capture, **fields)


def _capture(body: bytes, status: int, headers: tuple[tuple[str, str], ...], question: object) -> Capture:
    head = "".join(f"{name}: {value}\r\n" for name, value in headers)
    raw_head = f"HTTP/1.1 {status} X\r\n{head}\r\n".encode("latin-1")
    return Capture(
        url=f"{BASE}/v1/chat/completions",
        request=request_bytes(BASE, "POST", "/v1/chat/completions", json=question),
        status=status,
        headers=headers,
        raw=raw_head + body,
        raw_head=raw_head,
        body=body,
        arrivals=((0.1, len(body)),),
        ended="complete",
        ended_s=0.1,
        taken_unix_s=NOW_S,
    )
