"""H1 to H4: methods, connections, models, and what every client library sends."""

from collections.abc import Sequence
from typing import Any

import pytest

from lumen_conformance import schemas
from lumen_conformance.checks.findings import child
from lumen_conformance.contract.expectations import (
    describe,
    expect_answer,
    expect_equal,
    expect_error,
    expect_header,
    expect_schema,
    expect_status,
    expect_words,
    told_header,
)
from lumen_conformance.contract.lenient_requests import LENIENT
from lumen_conformance.contract.session import WORDS, Talk, model_path, question
from lumen_conformance.http.client import Capture
from lumen_conformance.http.documents import JsonObject, answer, media_type, said
from lumen_conformance.registry.declaration import Check, check, check_each
from lumen_conformance.registry.refutation import NotJudged, expect, shorten
from lumen_conformance.targets.endpoint import CHAT

TEN = 10  # requests on one connection, contract H2
IDLE_S = 3.0  # longer than a pause between two questions of a program, far below any server's keep-alive
TURNS_INTO_GET = {301, 302, 303}  # what clients do with these redirects of a POST (RFC 9110, 15.4)

BODY_CHECKS = {"/health": "H4.health", "/v1/models": "H3.list"}  # which fail where the response has no body


@check_each(
    "path", {"H1.head-health": "/health", "H1.head-models": "/v1/models", "H1.head-nowhere": "/nothing"}, tier="S"
)
def test_head(path: str, talk: Talk) -> None:
    """HEAD has the status of GET and no body; the connection stays usable."""
    alone = talk.call("GET", path)  # what stands behind a head would be read as the answer on its connection
    with talk.proxy.connection() as connection:
        head, get = connection.call("HEAD", path), connection.call("GET", path)
    if get.ended == "complete" and not get.body and path in BODY_CHECKS:
        raise NotJudged(f"GET {path} has no body, either: {describe(get)}", (BODY_CHECKS[path],))
    wanted = f"status {alone.status}, as GET has, complete and without a body"
    bare = (head.status, head.ended, head.raw) == (alone.status, "complete", head.raw_head)
    expect(bare, wanted, f"{describe(head)}, {len(head.raw) - len(head.raw_head)} bytes behind the head")
    expect(get.ended == "complete", "a complete response to the GET that follows", describe(get))


@check_each("path", {"H1.slash-chat": f"{CHAT}/", "H1.slash-chat-bare": "/chat/completions/"}, tier="S")
def test_trailing_slash(path: str, talk: Talk) -> None:
    """A trailing slash never turns POST into GET."""
    seen = talk.post(question("안녕"), path)
    expect(seen.status not in TURNS_INTO_GET, "no redirect that turns POST into GET", told_header(seen, "Location"))
    if not answer(seen).get("error"):
        expect_answer(talk, seen, "안녕")


@check("H2.ten", tier="S")
def test_ten_on_one_connection(talk: Talk) -> None:
    """Ten questions go through one connection."""
    with talk.proxy.connection() as connection:
        asked = [talk.own(question(f"{number}번째")) for number in range(TEN)]
        answers = [connection.call("POST", CHAT, json=body) for body in asked]
    for number, seen in enumerate(answers):
        expect_answer(talk, seen, f"{number}번째", at=f"request {number + 1} of {TEN} on one connection")
    expect_one_connection(answers)


@check("H2.after-idling", tier="S")
def test_after_idling(talk: Talk) -> None:
    """A connection can be used again after a pause."""
    with talk.proxy.connection() as connection:
        first = connection.call("POST", CHAT, json=talk.own(question("하나")))
        expect_answer(talk, first, "하나", at="before the pause")
        expect(connection.stays_open(IDLE_S), f"a connection that stays open for {IDLE_S} s", "closed by the server")
        second = connection.call("POST", CHAT, json=talk.own(question("안녕")))
    expect_answer(talk, second, "안녕", at="after the pause")


@check("H2.after-refusals", tier="S")
def test_after_refusals(talk: Talk) -> None:
    """A refusal does not cost the connection."""
    bodies: list[object] = [[], {}, talk.own(question("안녕", n=0))]
    with talk.proxy.connection() as connection:
        refused = [connection.call("POST", CHAT, json=body) for body in bodies]
        seen = connection.call("POST", CHAT, json=talk.own(question("안녕")))
    if not any(each.status is not None and each.status >= 400 for each in refused):
        raise NotJudged("nothing is refused", ("F2.body-list", "F2.messages-missing"))
    expect_answer(talk, seen, "안녕", at="on a connection with refusals before")
    expect_one_connection([*refused, seen])


def expect_one_connection(answers: Sequence[Capture]) -> None:
    """No answer ended its connection: none but the first was opened."""
    opened = len({seen.connection for seen in answers})
    ended = sum(any(word.lower() == "close" for word in seen.header_all("connection")) for seen in answers)
    told = f"{opened} connections; {ended} of {len(answers)} responses say Connection: close"
    expect(opened == 1, f"{len(answers)} requests on 1 connection", told)


ASKING = {
    "H2.id-plain": ("POST", CHAT, question("안녕")),
    "H2.id-stream": ("POST", CHAT, question("안녕", stream=True)),
    "H2.id-refusal": ("POST", CHAT, {"messages": []}),
    "H2.id-nowhere": ("GET", "/nothing", None),
    "H2.id-models": ("GET", "/v1/models", None),
}


@check_each("asking", ASKING, tier="S")
def test_request_id_is_kept(asking: tuple[str, str, object], talk: Talk) -> None:
    """The caller's x-request-id comes back."""
    method, path, body = asking
    seen = talk.call(method, path, json=body, headers=[("X-Request-Id", "caller-0815")])
    expect_header(seen, "X-Request-Id", "caller-0815")


LISTS = {"H3.list": "/v1/models", "H3.list-bare": "/models"}


@check_each("path", LISTS)
@pytest.mark.smoke
def test_list_of_models(path: str, talk: Talk) -> None:
    """The models are listed as JSON: an object with data, a list of objects that have an id."""
    seen = talk.call("GET", path)
    expect_status(seen, 200)
    expect(media_type(seen) == "application/json", "media type application/json", told_header(seen, "Content-Type"))
    expect_schema(seen, "openai-model-list", "an object with data, a list of objects that have an id")
    expect(bool(answer(seen).get("data")), "at least one model in data", describe(seen))


@check_each("row", {f"{name}-wire": (name, path) for name, path in LISTS.items()}, tier="S")
def test_list_of_models_as_openai_has_it(row: tuple[str, str], talk: Talk) -> None:
    """The list of models has all that OpenAI's schema has."""
    listing, path = row
    seen = talk.call("GET", path)
    if schemas.find_breaches("openai-model-list", answer(seen)):
        raise NotJudged(f"no list of models came: {describe(seen)}", (listing,))
    expect_schema(seen, "openai-model-list-wire", "a body that fits the schema of a list of models")


def listed(talk: Talk) -> list[JsonObject]:
    """The models of the list, at least one; raises `NotJudged` where none is listed."""
    found = answer(talk.models).get("data")
    models = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    if not models:
        raise NotJudged(f"no models are listed: {describe(talk.models)}", ("H3.list",))
    return models


@check("H3.each", tier="S")
def test_each_model(talk: Talk) -> None:
    """Each listed model can be looked up, and is the same there."""
    for one in listed(talk):
        seen = talk.call("GET", model_path(str(one.get("id"))))
        expect_status(seen, 200)
        expect_equal(answer(seen).get("id"), one.get("id"), "the id of the model")
        expect_schema(seen, "openai-model", "a body that fits the schema of a model")
        if talk.target.profile == "lumen":  # other times, other permissions: no client compares them
            expect_equal(answer(seen), one, "the model, as it is listed")


@check("H3.usable")
def test_each_model_is_usable(talk: Talk) -> None:
    """Each listed model answers, under its own name; of a foreign target the one that it was named for."""
    if talk.target.profile != "lumen":  # others may be for embeddings, and a snapshot has a name of its own
        expect_words(talk, talk.ask("안녕"), "안녕")
        return
    names = [talk.target.model] if talk.target.url else [str(one.get("id")) for one in listed(talk)]
    answers = [talk.post({**question("안녕"), "model": name}) for name in names]
    expect_equal([answer(seen).get("model") for seen in answers], names, "the models of the answers")


@check("H3.unknown", tier="S")
def test_unknown_model(talk: Talk) -> None:
    """An unknown model is a 404 that says so."""
    seen = talk.call("GET", "/v1/models/no-such-model")
    expect_error(seen, 404, code="model_not_found")


NULLS = ("temperature", "top_p", "n", "stop", "stream", "stream_options", "max_tokens", "max_completion_tokens",
         "presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "top_logprobs", "seed", "user",
         "metadata", "response_format", "tools", "tool_choice", "functions", "store", "service_tier",
         "reasoning_effort", "parallel_tool_calls", "modalities", "prediction", "audio")  # fmt: skip
# In these requests `WORDS` stands for the question of the shared exchanges, which is plainer where that is refused.
TURNS = [{"role": "developer", "content": "be brief"}, {"role": "user", "content": WORDS}]
# What named clients make of a plain question, of its instructions and of a limit: docs/breaks.md has who sends which.
SENT: dict[str, dict[str, object]] = {
    "H4.content-parts": {"messages": [{"role": "user", "content": [{"type": "text", "text": WORDS}]}]},
    "H4.developer": {"messages": TURNS},
    "H4.langchain": {"stream": False},
    "H4.limits-zero": {"temperature": 0},
    "H4.max-completion-tokens": {"max_completion_tokens": 100},
    "H4.max-tokens": {"max_tokens": 100},
    "H4.pydantic-ai": {"stream": False, "max_completion_tokens": 10},
}
# What a program has to ask for itself: no client sends it otherwise. Tools are more than a text, and OpenAI refuses
# fields that it does not know.
ACCEPTED: dict[str, dict[str, object]] = {
    **{f"H4.null-{name.replace('_', '-')}": {name: None} for name in NULLS},
    "H4.unknown-field": {"thinking": {"type": "enabled", "budget_tokens": 1}, "top_k": 40},
    "H4.unknown-message-field": {"messages": [{"role": "user", "content": WORDS, "name": "kim", "cache": {"ttl": 1}}]},
    "H4.limits-low": {"temperature": 0, "top_p": 0, "presence_penalty": -2, "frequency_penalty": -2, "n": 1},
    "H4.limits-high": {"temperature": 2, "top_p": 1, "presence_penalty": 2, "frequency_penalty": 2},
    "H4.stop-string": {"stop": "####"},
    "H4.stop-four": {"stop": ["####", "----", "====", "++++"]},
    "H4.response-format-text": {"response_format": {"type": "text"}},
    "H4.no-tools": {"tools": [], "functions": []},
    "H4.tools-unused": {"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "none"},
    "H4.assistant-content-null": {
        "messages": [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": None, "refusal": None, "tool_calls": None, "audio": None},
            {"role": "user", "content": WORDS},
        ]
    },
    "H4.no-model": {"model": None},
}


@check_each("fields", SENT)
def test_sent_by_clients(fields: dict[str, object], talk: Talk) -> None:
    """What client libraries send by themselves is accepted, unless the model lacks it and the error says so."""
    expect_accepted(talk, fields)


@check_each("fields", ACCEPTED, tier="S")
def test_accepted(fields: dict[str, object], talk: Talk) -> None:
    """What OpenAI allows, or overlooks, is accepted, unless the model lacks it and the error says so."""
    expect_accepted(talk, fields)


# OpenAI's reasoning models refuse `max_tokens`, and any temperature but 1, by these codes (ComfyUI-Griptape#312,
# forgecode#1177): whoever passes such a refusal on does what OpenAI does.
LACKING = {"unsupported_parameter", "unsupported_value"}


def expect_accepted(talk: Talk, fields: dict[str, object]) -> None:
    """A question with these fields is answered; with its own text where our gateway repeats it."""
    seen = talk.post(with_words({**question(), **fields}, talk.words))
    if talk.target.profile == "openai" and child(answer(seen), "error").get("code") in LACKING:
        return
    expect_status(seen, 200)
    if "gateway" in talk.target.can:
        repeated = talk.words in said(seen)
        expect(repeated, f"a text with the question {shorten(talk.words)}", describe(seen))


def with_words(value: Any, words: str) -> Any:  # noqa: ANN401 -- any JSON
    """The same JSON with other words in the place of `WORDS`."""
    if isinstance(value, dict):
        return {key: with_words(each, words) for key, each in value.items()}
    if isinstance(value, list):
        return [with_words(each, words) for each in value]
    return words if value == WORDS else value


UNSENT = {"functions", "half-an-emoji", "no-limit"}  # no client is known to send these


@check_each(
    "fields",
    {Check(f"H4.lenient-{name}", "S" if name in UNSENT else "M"): fields for name, fields in LENIENT.items()},
)
def test_leniently_accepted(fields: dict[str, object], talk: Talk) -> None:
    """What other servers accept, and what would have no effect anyway, is accepted."""
    expect_accepted(talk, fields)


@check("H4.stream-with-sdk-headers")
def test_accept_is_not_negotiated(talk: Talk) -> None:
    """The SDKs accept application/json even when they ask for a stream; they get it all the same."""
    headers = [("Accept", "application/json"), ("X-Stainless-Retry-Count", "0"), ("User-Agent", "OpenAI/Python")]
    seen: Capture = talk.post(question("안녕", stream=True), headers=headers)
    is_stream = media_type(seen) == "text/event-stream"
    expect(is_stream, "media type text/event-stream", told_header(seen, "Content-Type"))
    expect_answer(talk, seen, "안녕")


@check("H4.health", tier="S", marks=(pytest.mark.smoke,))
def test_health(talk: Talk) -> None:
    """The health has its shape."""
    expect_status(talk.health, 200)
    expect_schema(talk.health, "proxy-health", "a body that fits the schema of the health")
