"""G1, G2, G4: one request becomes one question; nothing said is lost; what the gateway adds is passed on."""

from collections.abc import Mapping

import pytest

from tests.contract.talking import MODEL, Talk, question
from tests.fixtures import schemas
from tests.fixtures.capture import Capture
from tests.fixtures.exchange import Call
from tests.fixtures.judges.asking import child
from tests.fixtures.judges.documents import JsonObject, answer, chunks, said
from tests.fixtures.replies import answers
from tests.fixtures.report.checks import check, check_each

pytestmark = [pytest.mark.needs("gateway"), pytest.mark.profile("lumen")]

PERSONAS = {"lumen-lua": "moon", "lumen-elo": "square", "lumen-nuri": "earth", "lumen-sena": "pen"}


def asked(talk: Talk, body: object) -> tuple[Capture, list[Call]]:
    """The answer to a request, and what the gateway was asked for it."""
    before = len(talk.gateway.calls)
    seen = talk.post(body)
    return seen, list(talk.gateway.calls[before:])


def first(calls: list[Call]) -> Call:
    """The call that the gateway was asked; there must have been one."""
    assert calls, "the gateway was not asked"
    return calls[0]


def metadata(seen: Capture) -> JsonObject:
    """What an answer says about itself; empty when it says nothing."""
    return child(answer(seen), "lumen_metadata")


def message_for(talk: Talk, *messages: Mapping[str, object]) -> str:
    """What the gateway was asked for a conversation; the answer must have come."""
    seen, calls = asked(talk, {"model": "lumen-gateway", "messages": messages})
    assert seen.status == 200, seen.text
    return first(calls).message


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
    _, calls = asked(talk, body)
    assert [(call.method, call.path) for call in calls] == [("POST", "/chat")]
    assert schemas.breaches("lumen-request", calls[0].json()) == ()
    assert (calls[0].header("content-type") or "").lower() == "application/json; charset=utf-8"


@check("G1.health-costs-nothing")
def test_health_costs_nothing(talk: Talk) -> None:
    """Health and models ask the gateway nothing."""
    before = len(talk.gateway.calls)
    for path in ("/health", "/v1/models", f"/v1/models/{MODEL}", "/nothing-here"):
        talk.call("GET", path)
    assert len(talk.gateway.calls) == before


@check("G2.lone-message")
def test_lone_message(talk: Talk) -> None:
    """One lone message of a user is sent as it is."""
    text = "  안녕,\n\nwhat is 1 + 1?\t"
    assert message_for(talk, {"role": "user", "content": text}) == text


@check("G2.order")
def test_everything_in_order(talk: Talk) -> None:
    """Instructions first, then the turns, then the last question: all of it, in this order."""
    message = message_for(talk, *CONVERSATION)
    places = [message.find(text) for text in IN_ORDER]
    assert -1 not in places
    assert places == sorted(places)


@check("G2.parts")
def test_parts(talk: Talk) -> None:
    """Text parts of one message are joined by newlines."""
    parts = [{"type": "text", "text": text} for text in ("하나", "둘", "셋")]
    assert message_for(talk, {"role": "user", "content": parts}) == "하나\n둘\n셋"


@pytest.mark.parametrize("role", ["system", "developer", "assistant", "tool", "function"])
@check("G2.role")
def test_every_role(role: str, talk: Talk) -> None:
    """What any role says reaches the gateway."""
    other = {"role": role, "content": f"words of the {role}", "tool_call_id": "c", "name": "f"}
    message = message_for(talk, {"role": "user", "content": "first"}, other, {"role": "user", "content": "last"})
    assert f"words of the {role}" in message


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
    assert [word in message for word in ("날씨?", "weather_of", "서울", "23 degrees")] == [True] * 4


@check("G2.no-forgery")
def test_no_forgery(talk: Talk) -> None:
    """No text can forge a turn: marks copied from one conversation mean nothing in the next."""
    first = message_for(talk, *CONVERSATION)
    marks = {line for line in first.splitlines() if line and line not in IN_ORDER}
    forged = {"role": "user", "content": "\n".join(sorted(marks)) + "\nforged instruction"}
    second = message_for(talk, *CONVERSATION[:3], forged)
    own = [line for line in second.splitlines() if line not in {*marks, *IN_ORDER, "forged instruction", ""}]
    assert own, "the second conversation has the marks of the first"


@check("G2.dropped-is-disclosed")
def test_dropped_is_disclosed(talk: Talk) -> None:
    """Turns that are too old to fit go, the oldest first, and their number is told."""
    turns = [{"role": "user", "content": f"<{number}>" + "가" * 3_000} for number in range(15)]
    seen, calls = asked(talk, {"model": "lumen-gateway", "messages": turns})
    kept = [number for number in range(15) if f"<{number}>" in first(calls).message]
    assert len(first(calls).message) <= 32_000
    assert kept == list(range(15 - len(kept), 15))
    assert metadata(seen).get("history_dropped") == 15 - len(kept) > 0


@check("G2.too-long")
def test_too_long(talk: Talk) -> None:
    """A question that does not fit is refused, and the gateway is not asked."""
    seen, calls = asked(talk, question("가" * 32_001))
    assert (seen.status, child(answer(seen), "error").get("code"), calls) == (400, "context_length_exceeded", [])


@check_each("model", {f"G2.persona-{name}": name for name in PERSONAS})
def test_persona(model: str, talk: Talk) -> None:
    """A persona's model asks for that persona, and keeps its name."""
    seen, calls = asked(talk, {**question("안녕"), "model": model})
    assert (first(calls).json().get("persona"), answer(seen).get("model")) == (PERSONAS[model], model)


@check_each(
    "model",
    {f"G2.persona-of-{name}": model for name, model in {
        "a-tag": "lumen-lua:latest", "a-prefix": "openai/lumen-lua", "both": "lumen/lumen-lua:latest",
    }.items()},
)  # fmt: skip
def test_persona_of_a_longer_name(model: str, talk: Talk) -> None:
    """A provider's prefix and a tag are taken off a model's name before its persona is looked up; both are told."""
    seen, calls = asked(talk, {**question("안녕"), "model": model})
    assert (first(calls).json().get("persona"), answer(seen).get("model")) == ("moon", "lumen-lua")
    assert metadata(seen).get("requested_model") == model


@check("G2.no-persona")
def test_no_persona(talk: Talk) -> None:
    """Without a persona's model the gateway chooses."""
    _, calls = asked(talk, question("안녕"))
    assert "persona" not in first(calls).json()


@check("G2.unknown-model")
def test_unknown_model(talk: Talk) -> None:
    """An unknown model is served by the default one, and both names are told."""
    seen, _ = asked(talk, {**question("안녕"), "model": "gpt-4o"})
    assert (seen.status, answer(seen).get("model")) == (200, MODEL)
    assert metadata(seen).get("requested_model") == "gpt-4o"


@check("G2.user")
def test_user(talk: Talk) -> None:
    """The user of a request is the gateway's user_id."""
    _, calls = asked(talk, question("안녕", user="u-1"))
    assert first(calls).json().get("user_id") == "u-1"


@check("G2.stop")
def test_stop(talk: Talk) -> None:
    """A stop sequence ends the text before itself, plain or streamed."""
    plain, streamed = (talk.ask("하나 둘 셋 넷", stop=["셋", "넷"], stream=stream) for stream in (False, True))
    assert (said(plain), said(streamed)) == ("하나 둘 ", "하나 둘 ")


@check("G4.metadata")
def test_metadata(talk: Talk) -> None:
    """Persona, sources and timestamp come as the gateway sent them, whatever they are."""
    persona = {"name": "비노슈", "emoji": "🌀", "type": {"of": ["any"]}}
    sent = {"persona": persona, "sources": ["google_ai", "새 출처"], "timestamp": "2025-10-24 10:09"}
    talk.gateway.script(answers("hi", **sent))
    found = metadata(talk.ask("안녕"))
    assert {key: found.get(key) for key in sent} == sent


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
    talk.gateway.script(answers("words", **fields))
    seen = talk.ask("안녕")
    assert (seen.status, said(seen)) == (200, "words")


@check("G4.ignored-is-disclosed")
def test_ignored_is_disclosed(talk: Talk) -> None:
    """Parameters that the gateway cannot obey are listed."""
    seen = talk.ask("안녕", temperature=0.5, max_tokens=7, seed=1, thinking={"budget": 1})
    assert set(metadata(seen).get("ignored_parameters", [])) == {"temperature", "max_tokens", "seed", "thinking"}


@check("G4.in-streams")
def test_metadata_in_streams(talk: Talk) -> None:
    """A stream carries the same metadata, with its finish."""
    found = [chunk.value for chunk in chunks(talk.stream) if "lumen_metadata" in chunk.value]
    assert [chunk["choices"][0]["finish_reason"] for chunk in found] == ["stop"]
    assert found[0]["lumen_metadata"]["persona"] == {"name": "세나"}
