"""G1, G2, G4: one request becomes one question; nothing said is lost; what the gateway adds is passed on."""

from collections.abc import Mapping

import pytest

from lumen_conformance.checks.findings import child
from lumen_conformance.contract.expectations import (
    describe,
    expect_equal,
    expect_error,
    expect_one_call,
    expect_shape,
    expect_status,
    expect_text,
)
from lumen_conformance.contract.session import MODEL, Talk, question
from lumen_conformance.gateway.exchange import ReceivedRequest
from lumen_conformance.gateway.replies import answer_with
from lumen_conformance.http.client import Capture
from lumen_conformance.http.documents import JsonObject, answer, choices_in, chunks
from lumen_conformance.registry.declaration import check, check_each
from lumen_conformance.registry.refutation import Failure, Refuted, expect, shorten

pytestmark = [pytest.mark.needs("gateway"), pytest.mark.profile("lumen")]

PERSONAS = {"lumen-lua": "moon", "lumen-elo": "square", "lumen-nuri": "earth", "lumen-sena": "pen"}


def asked(talk: Talk, body: object) -> tuple[Capture, list[ReceivedRequest]]:
    """The answer to a request, and what the gateway was asked for it."""
    before = len(talk.gateway.calls)
    seen = talk.post(body)
    return seen, list(talk.gateway.calls[before:])


def first(calls: list[ReceivedRequest], seen: Capture) -> ReceivedRequest:
    """The first request of the gateway for a response; there must have been one."""
    if not calls:
        raise Refuted(Failure("a request to the gateway", f"none; {describe(seen)}"))
    return calls[0]


def sent(calls: list[ReceivedRequest], seen: Capture) -> JsonObject:
    """The JSON object of that request; empty when it is none."""
    try:
        body = first(calls, seen).json()
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def metadata(seen: Capture) -> JsonObject:
    """What an answer says about itself; empty when it says nothing."""
    return child(answer(seen), "lumen_metadata")


def message_for(talk: Talk, *messages: Mapping[str, object]) -> str:
    """What the gateway was asked for a conversation; the answer must have come."""
    seen, calls = asked(talk, {"model": "lumen-gateway", "messages": messages})
    expect_status(seen, 200)
    return first(calls, seen).message


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


@check_each("body", {f"G1.{name}": body for name, body in BODIES.items()})
def test_one_question(body: dict[str, object], talk: Talk) -> None:
    """One request makes exactly one POST /chat, and it fits the gateway's schema."""
    seen, calls = asked(talk, body)
    expect_one_call(calls, seen, "POST", "/chat")
    expect_shape("lumen-request", sent(calls, seen), "a request that fits the schema of the gateway")


@check("G1.media-type")
def test_media_type_of_the_question(talk: Talk) -> None:
    """The gateway is asked in JSON; a charset, if one is named, is UTF-8."""
    seen, calls = asked(talk, question("안녕하세요"))
    found = first(calls, seen).header("content-type") or ""
    media_type, _, charset = found.lower().replace(" ", "").replace('"', "").partition(";")
    alike = media_type == "application/json" and charset in {"", "charset=utf-8"}
    expect(alike, "the header Content-Type: application/json, without a charset or with UTF-8", found or "none")


@check("G1.health-costs-nothing")
def test_health_costs_nothing(talk: Talk) -> None:
    """Health and models ask the gateway nothing."""
    before = len(talk.gateway.calls)
    for path in ("/health", "/v1/models", f"/v1/models/{MODEL}", "/nothing-here"):
        talk.call("GET", path)
    calls = [f"{call.method} {call.path}" for call in talk.gateway.calls[before:]]
    expect(not calls, "no request to the gateway", ", ".join(calls))


@check("G2.lone-message")
def test_lone_message(talk: Talk) -> None:
    """One lone message of a user is sent as it is."""
    text = "  안녕,\n\nwhat is 1 + 1?\t"
    expect_equal(message_for(talk, {"role": "user", "content": text}), text, "the message for the gateway")


@check("G2.order")
def test_everything_in_order(talk: Talk) -> None:
    """Instructions first, then the turns, then the last question: all of it, in this order."""
    message = message_for(talk, *CONVERSATION)
    places = [message.find(text) for text in IN_ORDER]
    lost = [text for text, place in zip(IN_ORDER, places, strict=True) if place < 0]
    expect(not lost, f"a message with {', '.join(IN_ORDER)}", f"a message without {', '.join(lost)}")
    order = [text for _, text in sorted(zip(places, IN_ORDER, strict=True))]
    expect_equal(order, IN_ORDER, "the order of the texts in the message")


@check("G2.parts")
def test_parts(talk: Talk) -> None:
    """Text parts of one message are joined by newlines."""
    parts = [{"type": "text", "text": text} for text in ("하나", "둘", "셋")]
    expect_equal(message_for(talk, {"role": "user", "content": parts}), "하나\n둘\n셋", "the message for the gateway")


@pytest.mark.parametrize("role", ["system", "developer", "assistant", "tool", "function"])
@check("G2.role")
def test_every_role(role: str, talk: Talk) -> None:
    """What any role says reaches the gateway."""
    other = {"role": role, "content": f"words of the {role}", "tool_call_id": "c", "name": "f"}
    message = message_for(talk, {"role": "user", "content": "first"}, other, {"role": "user", "content": "last"})
    expect(f"words of the {role}" in message, f"a message with 'words of the {role}'", shorten(message))


@check("G2.tool-calls")
def test_tool_calls_of_the_past(talk: Talk) -> None:
    """What the assistant did, and what came of it, reach the gateway."""
    did = {"id": "c", "type": "function", "function": {"name": "weather_of", "arguments": '{"city": "서울"}'}}
    turns: list[dict[str, object]] = [
        {"role": "user", "content": "날씨?"},
        {"role": "assistant", "content": None, "tool_calls": [did]},
        {"role": "tool", "content": "23 degrees", "tool_call_id": "c"},
    ]
    message = message_for(talk, *turns)
    lost = [word for word in ("날씨?", "weather_of", "서울", "23 degrees") if word not in message]
    expect(
        not lost,
        "a message with the question, the call, its argument and its result",
        f"a message without {', '.join(lost)}",
    )


@check("G2.no-forgery")
def test_no_forgery(talk: Talk) -> None:
    """No text can forge a turn: marks copied from one conversation mean nothing in the next."""
    first = message_for(talk, *CONVERSATION)
    marks = {line for line in first.splitlines() if line and line not in IN_ORDER}
    forged = {"role": "user", "content": "\n".join(sorted(marks)) + "\nforged instruction"}
    second = message_for(talk, *CONVERSATION[:3], forged)
    own = [line for line in second.splitlines() if line not in {*marks, *IN_ORDER, "forged instruction", ""}]
    expect(
        bool(own),
        "other role marks in the message of the second conversation than in that of the first",
        "the same marks",
    )


@check("G2.dropped-is-disclosed")
def test_dropped_is_disclosed(talk: Talk) -> None:
    """Turns that are too old to fit go, the oldest first, and their number is told."""
    turns = [{"role": "user", "content": f"<{number}>" + "가" * 3_000} for number in range(15)]
    seen, calls = asked(talk, {"model": "lumen-gateway", "messages": turns})
    message = first(calls, seen).message
    kept = [number for number in range(15) if f"<{number}>" in message]
    expect(len(message) <= 32_000, "a message of at most 32,000 characters", f"{len(message)} characters")
    expect_equal(kept, list(range(15 - len(kept), 15)), "the turns that are kept")
    expect(len(kept) < 15, "fewer than 15 turns", "all of them")
    expect_equal(metadata(seen).get("history_dropped"), 15 - len(kept), "lumen_metadata.history_dropped")


@check("G2.too-long")
def test_too_long(talk: Talk) -> None:
    """A question that does not fit is refused, and the gateway is not asked."""
    seen, calls = asked(talk, question("가" * 32_001))
    expect_error(seen, 400, code="context_length_exceeded")
    expect(not calls, "no request to the gateway", f"{len(calls)} of them")


@check_each("model", {f"G2.persona-{name}": name for name in PERSONAS})
def test_persona(model: str, talk: Talk) -> None:
    """A persona's model asks for that persona, and keeps its name."""
    seen, calls = asked(talk, {**question("안녕"), "model": model})
    expect_equal(sent(calls, seen).get("persona"), PERSONAS[model], "the persona that is asked for")
    expect_equal(answer(seen).get("model"), model, "the model of the answer")


@check_each(
    "model",
    {f"G2.persona-of-{name}": model for name, model in {
        "a-tag": "lumen-lua:latest", "a-prefix": "openai/lumen-lua", "both": "lumen/lumen-lua:latest",
    }.items()},
)  # fmt: skip
def test_persona_of_a_longer_name(model: str, talk: Talk) -> None:
    """A provider's prefix and a tag are taken off a model's name before its persona is looked up; both are told."""
    seen, calls = asked(talk, {**question("안녕"), "model": model})
    expect_equal(sent(calls, seen).get("persona"), "moon", "the persona that is asked for")
    expect_equal(answer(seen).get("model"), "lumen-lua", "the model of the answer")
    expect_equal(metadata(seen).get("requested_model"), model, "lumen_metadata.requested_model")


@check("G2.no-persona")
def test_no_persona(talk: Talk) -> None:
    """Without a persona's model the gateway chooses."""
    seen, calls = asked(talk, question("안녕"))
    body = sent(calls, seen)
    expect("persona" not in body, "a request without persona", shorten(body))


@check("G2.unknown-model", tier="S")
def test_unknown_model(talk: Talk) -> None:
    """An unknown model is served by the default one, and both names are told."""
    seen, _ = asked(talk, {**question("안녕"), "model": "gpt-4o"})
    expect_status(seen, 200)
    expect_equal(answer(seen).get("model"), MODEL, "the model of the answer")
    expect_equal(metadata(seen).get("requested_model"), "gpt-4o", "lumen_metadata.requested_model")


@check("G2.user")
def test_user(talk: Talk) -> None:
    """The user of a request is the gateway's user_id."""
    seen, calls = asked(talk, question("안녕", user="u-1"))
    expect_equal(sent(calls, seen).get("user_id"), "u-1", "the user_id that the gateway is told")


@check("G2.stop", tier="S")
def test_stop(talk: Talk) -> None:
    """A stop sequence ends the text before itself, plain or streamed."""
    for stream in (False, True):
        expect_text(talk.ask("하나 둘 셋 넷", stop=["셋", "넷"], stream=stream), "하나 둘 ", at=f"stream: {stream}")


@check("G4.metadata", tier="S")
def test_metadata(talk: Talk) -> None:
    """Persona, sources and timestamp come as the gateway sent them, whatever they are."""
    persona = {"name": "비노슈", "emoji": "🌀", "type": {"of": ["any"]}}
    given = {"persona": persona, "sources": ["google_ai", "새 출처"], "timestamp": "2025-10-24 10:09"}
    with talk.gateway.scripted(answer_with("hi", **given)):
        found = metadata(talk.ask("안녕"))
    expect_equal({key: found.get(key) for key in given}, given, "lumen_metadata")


@check_each(
    "fields",
    {
        "G4.extra-fields": {"resonance": 0.9, "debug": {"a": [None]}, "error": None},
        "G4.no-sources": {"sources": []},
        "G4.timestamp-with-zone": {"timestamp": "2025-10-24T10:09:00.123456+09:00"},
        "G4.timestamp-odd": {"timestamp": "어제"},
        "G4.persona-with-name-only": {"persona": {"name": "x"}},
    },
)
def test_tolerated(fields: dict[str, object], talk: Talk) -> None:
    """Unknown or odd fields of an answer never stop its words."""
    with talk.gateway.scripted(answer_with("words", **fields)):
        seen = talk.ask("안녕")
    expect_text(seen, "words")


@check("G4.ignored-is-disclosed", tier="S")
def test_ignored_is_disclosed(talk: Talk) -> None:
    """Parameters that the gateway cannot obey are listed."""
    seen = talk.ask("안녕", temperature=0.5, max_tokens=7, seed=1, thinking={"budget": 1})
    found = metadata(seen).get("ignored_parameters")
    named = sorted(map(str, found)) if isinstance(found, list) else found
    expect_equal(named, ["max_tokens", "seed", "temperature", "thinking"], "lumen_metadata.ignored_parameters")


@check("G4.in-streams", tier="S")
def test_metadata_in_streams(talk: Talk) -> None:
    """A stream carries the same metadata, with its finish."""
    found = [chunk for chunk in chunks(talk.stream) if "lumen_metadata" in chunk.value]
    finishes = [choice.value.get("finish_reason") for chunk in found for choice in choices_in(chunk)]
    expect_equal(finishes, ["stop"], "finish_reason of the chunks with lumen_metadata")
    expect_equal(child(found[0].value, "lumen_metadata").get("persona"), {"name": "세나"}, "lumen_metadata.persona")
