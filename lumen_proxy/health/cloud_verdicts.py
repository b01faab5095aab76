"""The status of Cloud AI or of the gateway from the results of its probes."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lumen_proxy.errors import ApiError
from lumen_proxy.health.verdicts import (
    BAD_REQUEST,
    FORBIDDEN,
    METHOD_NOT_ALLOWED,
    NETWORK_SIGN_IN,
    NOT_FOUND,
    OK,
    REDIRECT,
    RETRY_LATER,
    SERVER_ERROR,
    TOO_MANY,
    TROUBLE_TEXTS,
    UNAUTHORIZED,
    VARIABLES,
    ChannelStatus,
    answer_fields,
    make_down,
)
from lumen_proxy.wire import lumen
from lumen_proxy.wire.text import json_value

if TYPE_CHECKING:
    from lumen_proxy.health.http_probe import ProbeResult

ISSUE_BY_TROUBLE = {"proxy_auth": "proxy-407", "proxy_unsupported": "proxy-unsupported"}
SWITCHED_OFF = (
    "the address has the right form, but the server answers 404: the service may be switched off; ask its operator"
)
TIMEOUTS = {"timeout", "connect_timeout"}


def judge_cloud(
    channel: str, chat: ProbeResult, health: ProbeResult | None, deep: ProbeResult | None = None
) -> ChannelStatus:
    """The status of Cloud AI or the gateway. `chat` was a GET, which is free; 405 means that the address is right.

    UP requires a response in the format of the channel: a network may answer each request with its own page.
    """
    results = tuple(result for result in (chat, health, deep) if result)
    if deep and deep.status == OK:  # whatever the GET returned
        return _judge_deep(channel, results, deep)
    return (
        _not_a_channel(channel, results, chat)
        or (health and _not_healthy(channel, results, health))
        or (_judge_deep(channel, results, deep) if deep else ChannelStatus(channel, "up", _reachable(chat), results))
    )


def _not_a_channel(channel: str, results: tuple[ProbeResult, ...], chat: ProbeResult) -> ChannelStatus | None:
    """DOWN by the response to a GET of the chat address."""
    variable, status = VARIABLES[channel], chat.status
    if status is None:
        return _not_reached(channel, results, chat)
    if status == NETWORK_SIGN_IN or (status == OK and _is_page(chat)):
        return make_down(channel, f"{status}, with a web page instead of an answer", results, case="captive-portal")
    if status == NOT_FOUND:
        return _wrong_path(channel, results)
    if REDIRECT <= status < BAD_REQUEST:
        advice = (
            f"open a browser and sign in to the network if it requires that; else set {variable} to the final address"
        )
        return make_down(channel, f"{status}: redirects to another address", results, advice=advice)
    if status >= SERVER_ERROR:
        return make_down(channel, f"{status}: server error", results, advice=RETRY_LATER)
    if (status == OK and not _is_json(chat)) or (status != METHOD_NOT_ALLOWED and _is_page(chat)):
        advice = f"check {variable}, which is now {chat.url}, and the filters of this network"
        return make_down(channel, f"{status}, but not in the format of this channel", results, advice=advice)
    return None


def _wrong_path(channel: str, results: tuple[ProbeResult, ...]) -> ChannelStatus:
    is_right = channel == "cloud_ai" and _is_chat_address(results[0].url)
    said = "404: not found" if is_right else "404: wrong path"
    if any(result.status == OK and _is_health(result) for result in results):
        said += "; the server itself answers"
    if channel == "cloud_ai":
        return make_down(channel, said, results, case="cloud-ai-404", advice=SWITCHED_OFF if is_right else "")
    advice = f"set {VARIABLES[channel]} to the gateway's own address, with or without /chat"
    return make_down(channel, said, results, advice=advice)


def _is_chat_address(url: str) -> bool:
    """Whether the path is that of the chat of Cloud AI; /api/chat no longer exists."""
    path = urlsplit(url).path.rstrip("/")
    return path.endswith("/chat") and not path.endswith("/api/chat")


def _not_reached(
    channel: str, results: tuple[ProbeResult, ...], result: ProbeResult, prefix: str = ""
) -> ChannelStatus:
    """DOWN by a network error."""
    trouble = result.trouble or "lost"
    case = ISSUE_BY_TROUBLE.get(trouble, "")
    if channel == "gateway" and trouble in TIMEOUTS:
        case, remedy = "gateway-timeout", ""
    else:
        remedy = result.remedy if trouble != "proxy_auth" else ""
    check = f"check {VARIABLES[channel]}, which is now {result.url}, and this machine's network"
    said = prefix + (result.detail or TROUBLE_TEXTS.get(trouble, trouble))
    return make_down(channel, said, results, case=case, advice=remedy or ("" if case else check))


def _not_healthy(channel: str, results: tuple[ProbeResult, ...], health: ProbeResult) -> ChannelStatus | None:
    """DOWN by its /health; a channel without /health may be up."""
    if health.status is None or health.status >= SERVER_ERROR:
        why = health.status or TROUBLE_TEXTS.get(health.trouble or "lost", health.detail)
        return make_down(channel, f"reachable, but /health failed: {why}", results, advice=RETRY_LATER)
    if health.status == OK and _is_page(health):
        return make_down(channel, "/health is a web page", results, case="captive-portal")
    if health.status == OK and not _is_health(health):
        advice = f"check {VARIABLES[channel]}: another service answers there"
        return make_down(channel, "reachable, but /health is not that of a channel", results, advice=advice)
    return None


def _is_page(result: ProbeResult) -> bool:
    """HTML or XML; no channel sends either."""
    return result.body.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<")


def _is_json(result: ProbeResult) -> bool:
    try:
        json_value(result.body)
    except ValueError:
        return False
    return True


def _is_health(result: ProbeResult) -> bool:
    """Both channels send `{"status": "healthy", …}`."""
    return isinstance(result.json().get("status"), str)


def _reachable(chat: ProbeResult) -> str:
    notes = {
        TOO_MANY: ", but its rate limit is reached",
        UNAUTHORIZED: ", requires a key",
        FORBIDDEN: ", requires a key",
    }
    return "reachable" + notes.get(chat.status or 0, "")


def _judge_deep(channel: str, results: tuple[ProbeResult, ...], deep: ProbeResult) -> ChannelStatus:
    """The status by the result of a real chat request."""
    if deep.status is None:
        return _not_reached(channel, results, deep, "chat: ")
    if deep.status in {UNAUTHORIZED, FORBIDDEN}:
        has_key = channel == "cloud_ai"
        advice = "set CLOUD_AI_API_KEY" if has_key else f"check {VARIABLES[channel]}: the gateway needs no key"
        return make_down(channel, f"chat: {deep.status}, access denied", results, advice=advice)
    if deep.status != OK:
        return make_down(channel, f"chat: {deep.status}", results, advice=RETRY_LATER)
    try:
        read = lumen.gateway_answer if channel == "gateway" else lumen.cloud_answer
        answer = read(deep.body)
    except ApiError as error:
        if _is_page(deep):
            return make_down(channel, "chat: a web page instead of an answer", results, case="captive-portal")
        return make_down(channel, f"chat: {error.code}", results, advice=RETRY_LATER)
    return ChannelStatus(
        channel, "up", "answers", results, facts=answer_fields((answer.persona or {}).get("name"), answer.sources)
    )
