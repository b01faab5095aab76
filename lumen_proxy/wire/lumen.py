"""The Lumen language: what the gateway and Cloud AI are asked, and what they answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lumen_proxy.wire.problems import problem
from lumen_proxy.wire.text import strict_json


@dataclass(frozen=True)
class Answer:
    """An answer of either channel. `timestamp` is passed on, never parsed: its form varies."""

    text: str
    persona: dict[str, Any] | None
    sources: list[str]
    timestamp: str | None


def gateway_request(message: str, persona: str | None, user_id: str | None) -> dict[str, str]:
    """`{"message", "persona"?, "user_id"?}`."""
    optional = {"persona": persona, "user_id": user_id}
    return {"message": message} | {name: value for name, value in optional.items() if value}


def gateway_answer(data: bytes) -> Answer:
    """Read `{"success", "persona", "response", "sources", "timestamp", "error"?}`.

    Raises ApiError: gateway_invalid_response, gateway_declined (`success: false`), gateway_empty_response.
    """
    body = _object(data)
    if body.get("success") is False:
        raise problem("gateway_declined")
    persona = _typed(body, "persona", dict)
    if body.get("success") is not True or (persona and not isinstance(persona.get("name"), str)):
        raise problem("gateway_invalid_response")
    sources = _typed(body, "sources", list) or []
    if not all(isinstance(source, str) for source in sources):
        raise problem("gateway_invalid_response")
    return Answer(_text(body.get("response")), persona, sources, _typed(body, "timestamp", str))


def cloud_request(message: str) -> dict[str, str]:
    """`{"message"}`."""
    return {"message": message}


def cloud_answer(data: bytes) -> Answer:
    """Read either form seen: `{"response", "model", …}` or `{"content", "persona_used", …}`.

    Raises ApiError: gateway_invalid_response, gateway_empty_response.
    """
    body = _object(data)
    name = _typed(body, "persona_used", str)
    text = _text(body["response"] if "response" in body else body.get("content"))
    return Answer(text, {"name": name} if name else None, [], _typed(body, "timestamp", str))


def _object(data: bytes) -> dict[str, Any]:
    try:
        body = strict_json(data)
    except ValueError:
        raise problem("gateway_invalid_response") from None
    if not isinstance(body, dict):
        raise problem("gateway_invalid_response")
    return body


def _typed(body: dict[str, Any], name: str, kind: type) -> Any:  # noqa: ANN401 - of that kind, or None
    value = body.get(name)
    if value is not None and not isinstance(value, kind):
        raise problem("gateway_invalid_response")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise problem("gateway_invalid_response")
    if not value.strip():
        raise problem("gateway_empty_response")
    return value
