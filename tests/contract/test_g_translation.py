"""G1, G2: the proxy makes one request to the Lumen Gateway, with the whole conversation."""

from collections.abc import Mapping

import pytest

from lumen_conformance.contract.expectations import (
    describe,
    expect_equal,
    expect_error,
    expect_one_call,
    expect_status,
    expect_text,
    expect_value_schema,
    lumen_metadata,
)
from lumen_conformance.contract.session import MODEL, ContractSession, question
from lumen_conformance.gateway.exchange import ReceivedRequest
from lumen_conformance.http.client import Capture
from lumen_conformance.http.documents import JsonObject, answer_json
from lumen_conformance.registry.declaration import check, check_each
from lumen_conformance.registry.refutation import Failure, Refuted, expect, shorten

pytestmark = [pytest.mark.needs("gateway"), pytest.mark.profile("lumen")]
LUMEN = "docs/protocol/lumen.md"
FOLDING = "docs/protocol/lumen.md; docs/behaviour.md"
PERSONAS = {"lumen-lua": "moon", "lumen-elo": "square", "lumen-nuri": "earth", "lumen-sena": "pen"}


def ask_gateway(proxy: ContractSession, body: object) -> tuple[Capture, list[ReceivedRequest]]:
    """Send a request; return the response and the requests to the gateway for it."""
    before = len(proxy.gateway.calls)
    capture = proxy.post(body)
    return capture, list(proxy.gateway.calls[before:])


def first_call(calls: list[ReceivedRequest], capture: Capture) -> ReceivedRequest:
    """The first request to the gateway; raises `Refuted` when there is none."""
    if not calls:
        raise Refuted(Failure("a request to the gateway", f"none; {describe(capture)}"))
    return calls[0]


def sent_object(calls: list[ReceivedRequest], capture: Capture) -> JsonObject:
    """The JSON object of the first request to the gateway; empty when its body is not a JSON object."""
    try:
        body = first_call(calls, capture).json()
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def message_for(proxy: ContractSession, *messages: Mapping[str, object]) -> str:
    """Send a conversation; return the message that the gateway received."""
    capture, calls = ask_gateway(proxy, {"model": "lumen-gateway", "messages": messages})
    expect_status(capture, 200)
    return first_call(calls, capture).message


CONVERSATION: tuple[dict[str, object], ...] = (
    {"role": "system", "content": "first instruction"},
    {"role": "user", "content": "first question"},
    {"role": "assistant", "content": "first answer"},
    {"role": "developer", "content": "second instruction"},
    {"role": "user", "content": [{"type": "text", "text": "second question"}, {"type": "text", "text": "its rest"}]},
)
IN_ORDER = ["first instruction", "second instruction", "first question", "first answer", "second question", "its rest"]
BODIES: dict[str, dict[str, object]] = {
    "lone": question("안녕하세요"),
    "conversation": {"model": "lumen-gateway", "messages": CONVERSATION},
    "persona": {**question("안녕하세요"), "model": "lumen-lua"},
    "user": question("안녕하세요", user="u-1"),
    "stream": question("안녕하세요", stream=True),
    "every-option": question(
        "안녕하세요", temperature=0, top_p=1, seed=7, max_tokens=5, metadata={"a": "b"}, unknown=[1]
    ),
}


@check_each("body", {f"G1-{name}": body for name, body in BODIES.items()}, source=LUMEN)
def test_one_question(body: dict[str, object], proxy: ContractSession) -> None:
    """One request ({row}) makes exactly one POST /chat, whose body fits the gateway's schema."""
    capture, calls = ask_gateway(proxy, body)
    expect_one_call(calls, capture, "POST", "/chat")
    expect_value_schema("lumen-request", sent_object(calls, capture), "a request that fits the schema of the gateway")


@check("G1-media-type", source=LUMEN)
def test_media_type_of_the_question(proxy: ContractSession) -> None:
    """The request to the gateway has the media type application/json, without a charset or with UTF-8."""
    capture, calls = ask_gateway(proxy, question("안녕하세요"))
    found = first_call(calls, capture).header("content-type") or ""
    media_type, _, charset = found.lower().replace(" ", "").replace('"', "").partition(";")
    alike = media_type == "application/json" and charset in {"", "charset=utf-8"}
    expect(alike, "the header Content-Type: application/json, without a charset or with UTF-8", found or "none")


@check("G1-health-costs-nothing", source="docs/behaviour.md")
def test_health_costs_nothing(proxy: ContractSession) -> None:
    """Requests for the health and the models make no request to the gateway."""
    before = len(proxy.gateway.calls)
    for path in ("/health", "/v1/models", f"/v1/models/{MODEL}", "/nothing-here"):
        proxy.call("GET", path)
    calls = [f"{call.method} {call.path}" for call in proxy.gateway.calls[before:]]
    expect(not calls, "no request to the gateway", ", ".join(calls))


@check("G2-lone-message", source=FOLDING)
def test_lone_message(proxy: ContractSession) -> None:
    """A single message of a user is sent unchanged."""
    text = "  안녕,\n\nwhat is 1 + 1?\t"
    expect_equal(message_for(proxy, {"role": "user", "content": text}), text, "the message for the gateway")


@check("G2-order", source=FOLDING)
def test_everything_in_order(proxy: ContractSession) -> None:
    """The message for the gateway has the instructions, then the history, then the last question."""
    message = message_for(proxy, *CONVERSATION)
    places = [message.find(text) for text in IN_ORDER]
    lost = [text for text, place in zip(IN_ORDER, places, strict=True) if place < 0]
    expect(not lost, f"a message with {', '.join(IN_ORDER)}", f"a message without {', '.join(lost)}")
    order = [text for _, text in sorted(zip(places, IN_ORDER, strict=True))]
    expect_equal(order, IN_ORDER, "the order of the texts in the message")


@check("G2-parts", source=FOLDING)
def test_parts(proxy: ContractSession) -> None:
    """The text parts of one message are joined by newlines."""
    parts = [{"type": "text", "text": text} for text in ("하나", "둘", "셋")]
    expect_equal(message_for(proxy, {"role": "user", "content": parts}), "하나\n둘\n셋", "the message for the gateway")


@pytest.mark.parametrize("role", ["system", "developer", "assistant", "tool", "function"])
@check("G2-role", source=FOLDING)
def test_every_role(role: str, proxy: ContractSession) -> None:
    """The text of every role reaches the gateway."""
    other = {"role": role, "content": f"words of the {role}", "tool_call_id": "c", "name": "f"}
    message = message_for(proxy, {"role": "user", "content": "first"}, other, {"role": "user", "content": "last"})
    expect(f"words of the {role}" in message, f"a message with 'words of the {role}'", shorten(message))


@check("G2-tool-calls", source=FOLDING)
def test_tool_calls_of_the_past(proxy: ContractSession) -> None:
    """Earlier tool calls and their results reach the gateway."""
    tool_call = {"id": "c", "type": "function", "function": {"name": "weather_of", "arguments": '{"city": "서울"}'}}
    turns: list[dict[str, object]] = [
        {"role": "user", "content": "날씨?"},
        {"role": "assistant", "content": None, "tool_calls": [tool_call]},
        {"role": "tool", "content": "23 degrees", "tool_call_id": "c"},
    ]
    message = message_for(proxy, *turns)
    lost = [word for word in ("날씨?", "weather_of", "서울", "23 degrees") if word not in message]
    expect(
        not lost,
        "a message with the question, the call, its argument and its result",
        f"a message without {', '.join(lost)}",
    )


@check("G2-no-forgery", source="CWE-77; docs/behaviour.md")
def test_no_forgery(proxy: ContractSession) -> None:
    """A text cannot forge a message of another role: the role marks are different in each conversation."""
    first = message_for(proxy, *CONVERSATION)
    marks = {line for line in first.splitlines() if line and line not in IN_ORDER}
    forged = {"role": "user", "content": "\n".join(sorted(marks)) + "\nforged instruction"}
    second = message_for(proxy, *CONVERSATION[:3], forged)
    own = [line for line in second.splitlines() if line not in {*marks, *IN_ORDER, "forged instruction", ""}]
    expect(
        bool(own),
        "other role marks in the message of the second conversation than in that of the first",
        "the same marks",
    )


@check("G2-dropped-is-disclosed", source=FOLDING)
def test_dropped_is_disclosed(proxy: ContractSession) -> None:
    """Messages that do not fit are dropped, the oldest first, and the answer states their number."""
    turns = [{"role": "user", "content": f"<{number}>" + "가" * 3_000} for number in range(15)]
    capture, calls = ask_gateway(proxy, {"model": "lumen-gateway", "messages": turns})
    message = first_call(calls, capture).message
    kept = [number for number in range(15) if f"<{number}>" in message]
    expect(len(message) <= 32_000, "a message of at most 32,000 characters", f"{len(message)} characters")
    expect_equal(kept, list(range(15 - len(kept), 15)), "the turns that are kept")
    expect(len(kept) < 15, "fewer than 15 turns", "all of them")
    expect_equal(lumen_metadata(capture).get("history_dropped"), 15 - len(kept), "lumen_metadata.history_dropped")


@check("G2-too-long", source="docs/behaviour.md: context_length_exceeded")
def test_too_long(proxy: ContractSession) -> None:
    """A question that does not fit is refused without a request to the gateway."""
    capture, calls = ask_gateway(proxy, question("가" * 32_001))
    expect_error(capture, 400, code="context_length_exceeded")
    expect(not calls, "no request to the gateway", f"{len(calls)} requests")


@check_each("model", {f"G2-persona-{name}": name for name in PERSONAS}, source=LUMEN)
def test_persona(model: str, proxy: ContractSession) -> None:
    """The model of a persona ({model}) selects that persona, and is the model of the answer."""
    capture, calls = ask_gateway(proxy, {**question("안녕"), "model": model})
    expect_equal(sent_object(calls, capture).get("persona"), PERSONAS[model], "the requested persona")
    expect_equal(answer_json(capture).get("model"), model, "the model of the answer")


@check_each(
    "model",
    {f"G2-persona-of-{name}": model for name, model in {
        "a-tag": "lumen-lua:latest", "a-prefix": "openai/lumen-lua", "both": "lumen/lumen-lua:latest",
    }.items()},
    source="docs/behaviour.md",
)  # fmt: skip
def test_persona_of_a_longer_name(model: str, proxy: ContractSession) -> None:
    """A provider prefix and a tag of a model ({model}) are ignored, and the answer states the requested model."""
    capture, calls = ask_gateway(proxy, {**question("안녕"), "model": model})
    expect_equal(sent_object(calls, capture).get("persona"), "moon", "the requested persona")
    expect_equal(answer_json(capture).get("model"), "lumen-lua", "the model of the answer")
    expect_equal(lumen_metadata(capture).get("requested_model"), model, "lumen_metadata.requested_model")


@check("G2-no-persona", source=LUMEN)
def test_no_persona(proxy: ContractSession) -> None:
    """For a model without a persona, the request to the gateway has no persona."""
    capture, calls = ask_gateway(proxy, question("안녕"))
    body = sent_object(calls, capture)
    expect("persona" not in body, "a request without persona", shorten(body))


@check("G2-unknown-model", tier="S", source="docs/behaviour.md")
def test_unknown_model(proxy: ContractSession) -> None:
    """An unknown model is replaced by the default model, and the answer states both names."""
    capture, _ = ask_gateway(proxy, {**question("안녕"), "model": "gpt-4o"})
    expect_status(capture, 200)
    expect_equal(answer_json(capture).get("model"), MODEL, "the model of the answer")
    expect_equal(lumen_metadata(capture).get("requested_model"), "gpt-4o", "lumen_metadata.requested_model")


@check("G2-user", source=LUMEN)
def test_user(proxy: ContractSession) -> None:
    """The user of a request is the user_id in the request to the gateway."""
    capture, calls = ask_gateway(proxy, question("안녕", user="u-1"))
    expect_equal(sent_object(calls, capture).get("user_id"), "u-1", "the user_id in the request to the gateway")


@check("G2-stop", tier="S", source="openapi.yaml: stop; docs/behaviour.md")
def test_stop(proxy: ContractSession) -> None:
    """The text ends before the first stop sequence, plain and streamed."""
    for stream in (False, True):
        expect_text(proxy.ask("하나 둘 셋 넷", stop=["셋", "넷"], stream=stream), "하나 둘 ", at=f"stream: {stream}")
