"""Whether a target that forwards requests respects their options: they arrive with their values, or are applied."""

from __future__ import annotations

from zlib import crc32

from lumen_conformance.checks.j_structured import fits_format
from lumen_conformance.contract.expectations import describe, need_known_refusal
from lumen_conformance.contract.forwarded import ForwardedRequest, forward, requests_behind
from lumen_conformance.contract.option_values import includes
from lumen_conformance.contract.request_options import (
    OPTIONS,
    REQUESTS,
    STOP,
    Option,
    arrives,
    has_each,
)
from lumen_conformance.contract.session import ContractSession
from lumen_conformance.gateway.openai_requests import LIMITS, JsonObject, read_object
from lumen_conformance.http.capture import LAST_CAPTURE, Capture
from lumen_conformance.http.documents import assistant_text, documents, finish_of, request_json, requests_stream
from lumen_conformance.registry.refutation import NotJudged

LONG_TEXT = f"of JSON options before {STOP} and after it; " + "more words than the limit allows, " * 20
# The checks that a request with this option is accepted.
ACCEPTED_BY = {
    "stop": ("H4-stop-string", "H4-stop-four"),
    "max_tokens": ("H4-max-tokens",),
    "max_completion_tokens": ("H4-max-completion-tokens",),
}


def option_check(name: str) -> str:
    """The id of the check of an option."""
    return f"G15-{name.replace('_', '-')}"


def send(proxy: ContractSession, name: str, fields: JsonObject, *, stream: bool) -> ForwardedRequest:
    """Send options; the question begins with a number that identifies it at the gateway."""
    number = crc32(f"{name} {stream}".encode())
    turn = {"role": "user", "content": f"{number:08x}: {LONG_TEXT}"}
    return forward(proxy, f"options {name}", [turn], stream=stream, **fields)


def send_alone(proxy: ContractSession, option: Option, *, stream: bool) -> ForwardedRequest:
    """Send one option, and those that it needs."""
    return send(proxy, f"{option.name} of {option.request}", option.alone, stream=stream)


def send_option(proxy: ContractSession, option: Option, *, stream: bool) -> ForwardedRequest:
    """Send an option with others; where that is refused, alone. Not judged when no request reaches the gateway."""
    sent = send(proxy, option.request, REQUESTS[option.request], stream=stream)
    if not sent.calls or sent.capture.status != 200:
        sent = send_alone(proxy, option, stream=stream)
    if not sent.calls:
        need_known_refusal(sent.capture, *ACCEPTED_BY.get(option.name, ()))
    if not sent.calls and sent.capture.status == 200:
        raise NotJudged(f"the gateway receives no request: {describe(sent.capture)}", ("G1-forwarded-lone",))
    return sent


def is_applied(option: Option, capture: Capture) -> bool:
    """Whether an answer shows that the target, or its gateway, has applied an option."""
    if option.name in LIMITS:
        return finish_of(capture) == "length"
    if option.name == "stop":
        return capture.status == 200 and STOP not in assistant_text(capture)
    if option.name == "response_format":
        return fits_format(capture)
    return option.name == "stream_options" and any(isinstance(each.get("usage"), dict) for each in objects_of(capture))


def objects_of(capture: Capture) -> list[JsonObject]:
    """The JSON objects of a response."""
    return [each.value for each in documents(capture) if isinstance(each.value, dict)]


def is_respected(proxy: ContractSession, option: Option, *, stream: bool) -> bool:
    """Whether an option arrives, is refused, or is applied."""
    sent = send_option(proxy, option, stream=stream)
    if sent.is_refused or arrives(option, sent.received):
        return True
    return is_applied(option, send_alone(proxy, option, stream=stream).capture)


def need_respected(proxy: ContractSession, capture: Capture, *names: str, stream: bool = False) -> None:
    """Raise `NotJudged` when one of these options does not reach the gateway, which G15 reports."""
    forwarded = names if "gateway" in proxy.target.can else ()
    lost = [name for name in forwarded if not is_respected(proxy, OPTIONS[name], stream=stream)]
    LAST_CAPTURE.record(capture)
    if lost:
        options = ", ".join(OPTIONS[name].name for name in lost)
        raise NotJudged(f"{options} did not reach the gateway", tuple(map(option_check, lost)))


def need_tools(proxy: ContractSession, capture: Capture) -> None:
    """Raise `NotJudged` when the tools of an exchange, or its choice of one, do not reach the gateway.

    Both are needed: that the gateway did not receive them for this exchange, and that G15 fails.
    """
    asked, received = request_json(capture), [read_object(call) for call in requests_behind(proxy, capture)]
    arrived = {
        "tools": any(has_each(each.get("tools"), asked.get("tools")) for each in received),
        "tool_choice_named": any(includes(each.get("tool_choice"), asked.get("tool_choice")) for each in received),
    }
    if received and proxy.target.profile == "openai":
        lost = (name for name, has_arrived in arrived.items() if not has_arrived)
        need_respected(proxy, capture, *lost, stream=requests_stream(capture))
