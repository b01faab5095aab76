"""The verdict on Cloud AI or the gateway. Pure: no network here, so that every answer can be shown to it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lumen_proxy.errors import ApiError
from lumen_proxy.health.verdicts import (
    BAD_REQUEST,
    FORBIDDEN,
    LATER,
    METHOD_NOT_ALLOWED,
    NETWORK_SIGN_IN,
    NOT_FOUND,
    OK,
    REDIRECT,
    SERVER_ERROR,
    TOO_MANY,
    TROUBLES,
    UNAUTHORIZED,
    VARIABLES,
    Probe,
    answer_facts,
    down,
)
from lumen_proxy.wire import lumen
from lumen_proxy.wire.text import json_value

if TYPE_CHECKING:
    from lumen_proxy.health.http_probe import Call

CASE_OF = {"proxy_auth": "proxy-407", "proxy_unsupported": "proxy-unsupported"}
SWITCHED_OFF = (
    "the address has the right form but answers 404: the service may be switched off; check with its operator"
)
TIMEOUTS = {"timeout", "connect_timeout"}


def on_cloud(channel: str, chat: Call, health: Call | None, deep: Call | None = None) -> Probe:
    """Cloud AI or the gateway: `chat` was a GET, which costs nothing; 405 there means that the address is right.

    UP needs an answer of the channel's own shape: a network may answer everything with a page of its own.
    """
    calls = tuple(call for call in (chat, health, deep) if call)
    if deep and deep.status == OK:  # whatever a GET says there
        return _on_deep(channel, calls, deep)
    return (
        _not_a_channel(channel, calls, chat)
        or (health and _not_healthy(channel, calls, health))
        or (_on_deep(channel, calls, deep) if deep else Probe(channel, "up", _reachable(chat), calls))
    )


def _not_a_channel(channel: str, calls: tuple[Call, ...], chat: Call) -> Probe | None:
    """DOWN by what a GET of the chat address gave."""
    variable, status = VARIABLES[channel], chat.status
    if status is None:
        return _not_reached(channel, calls, chat)
    if status == NETWORK_SIGN_IN or (status == OK and _is_page(chat)):
        return down(channel, f"{status}, with a web page instead of an answer", calls, case="captive-portal")
    if status == NOT_FOUND:
        return _wrong_path(channel, calls)
    if REDIRECT <= status < BAD_REQUEST:
        advice = f"sign in to the network if it asks for that in a browser; else set {variable} to the final address"
        return down(channel, f"{status}: redirects to another address", calls, advice=advice)
    if status >= SERVER_ERROR:
        return down(channel, f"{status}: the service is in trouble", calls, advice=LATER)
    if (status == OK and not _is_json(chat)) or (status != METHOD_NOT_ALLOWED and _is_page(chat)):
        advice = f"check {variable}, which is now {chat.url}, and what filters this network"
        return down(channel, f"{status}, but not in the form of this channel", calls, advice=advice)
    return None


def _wrong_path(channel: str, calls: tuple[Call, ...]) -> Probe:
    is_right = channel == "cloud_ai" and _is_chat_address(calls[0].url)
    said = "404: not found" if is_right else "404: wrong path"
    if any(call.status == OK and _is_health(call) for call in calls):
        said += "; the server itself answers"
    if channel == "cloud_ai":
        return down(channel, said, calls, case="cloud-ai-404", advice=SWITCHED_OFF if is_right else "")
    advice = f"set {VARIABLES[channel]} to the gateway's own address, with or without /chat"
    return down(channel, said, calls, advice=advice)


def _is_chat_address(url: str) -> bool:
    """Whether Cloud AI has its chat at such an address; that in /api/chat is gone."""
    path = urlsplit(url).path.rstrip("/")
    return path.endswith("/chat") and not path.endswith("/api/chat")


def _not_reached(channel: str, calls: tuple[Call, ...], call: Call, about: str = "") -> Probe:
    """DOWN by what the network did."""
    trouble = call.trouble or "lost"
    case = CASE_OF.get(trouble, "")
    if channel == "gateway" and trouble in TIMEOUTS:
        case, remedy = "gateway-timeout", ""
    else:
        remedy = call.remedy if trouble != "proxy_auth" else ""
    look = f"check {VARIABLES[channel]}, which is now {call.url}, and this machine's network"
    said = about + (call.detail or TROUBLES.get(trouble, trouble))
    return down(channel, said, calls, case=case, advice=remedy or ("" if case else look))


def _not_healthy(channel: str, calls: tuple[Call, ...], health: Call) -> Probe | None:
    """DOWN by its /health; a channel without one may be well."""
    if health.status is None or health.status >= SERVER_ERROR:
        why = health.status or TROUBLES.get(health.trouble or "lost", health.detail)
        return down(channel, f"reachable, but its /health: {why}", calls, advice=LATER)
    if health.status == OK and _is_page(health):
        return down(channel, "its /health is a web page", calls, case="captive-portal")
    if health.status == OK and not _is_health(health):
        advice = f"check {VARIABLES[channel]}: another service answers there"
        return down(channel, "reachable, but its /health is not that of a channel", calls, advice=advice)
    return None


def _is_page(call: Call) -> bool:
    """HTML or XML; no channel answers in either."""
    return call.body.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<")


def _is_json(call: Call) -> bool:
    try:
        json_value(call.body)
    except ValueError:
        return False
    return True


def _is_health(call: Call) -> bool:
    """Both channels say `{"status": "healthy", …}`."""
    return isinstance(call.json().get("status"), str)


def _reachable(chat: Call) -> str:
    notes = {TOO_MANY: ", but limits our calls now", UNAUTHORIZED: ", wants a key", FORBIDDEN: ", wants a key"}
    return "reachable" + notes.get(chat.status or 0, "")


def _on_deep(channel: str, calls: tuple[Call, ...], deep: Call) -> Probe:
    """A chat call was really made."""
    if deep.status is None:
        return _not_reached(channel, calls, deep, "chat: ")
    if deep.status in {UNAUTHORIZED, FORBIDDEN}:
        is_keyed = channel == "cloud_ai"
        advice = "set CLOUD_AI_API_KEY" if is_keyed else f"check {VARIABLES[channel]}: the gateway needs no key"
        return down(channel, f"chat: {deep.status}, access is refused", calls, advice=advice)
    if deep.status != OK:
        return down(channel, f"chat: {deep.status}", calls, advice=LATER)
    try:
        read = lumen.gateway_answer if channel == "gateway" else lumen.cloud_answer
        answer = read(deep.body)
    except ApiError as error:
        if _is_page(deep):
            return down(channel, "chat: a web page instead of an answer", calls, case="captive-portal")
        return down(channel, f"chat: {error.code}", calls, advice=LATER)
    return Probe(
        channel, "up", "answers", calls, facts=answer_facts((answer.persona or {}).get("name"), answer.sources)
    )
