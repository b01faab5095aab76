"""H1 to H4: methods, connections, models, and the requests of client libraries."""

from collections.abc import Sequence
from typing import Any

import pytest

from lumen_conformance import schemas
from lumen_conformance.checks.findings import child_object
from lumen_conformance.contract.expectations import (
    describe,
    describe_header,
    expect_answer,
    expect_answer_with_text,
    expect_equal,
    expect_error,
    expect_header,
    expect_schema,
    expect_status,
)
from lumen_conformance.contract.lenient_requests import LENIENT_REQUESTS
from lumen_conformance.contract.session import AWKWARD_TEXT, ContractSession, model_path, question
from lumen_conformance.http.client import Capture
from lumen_conformance.http.documents import JsonObject, answer_json, assistant_text, media_type
from lumen_conformance.registry.declaration import Check, check, check_each
from lumen_conformance.registry.refutation import NotJudged, expect, shorten
from lumen_conformance.targets.endpoint import CHAT

REDIRECTS = "RFC 9110, 15.4.2 and 15.4.3: clients may change POST to GET"
PERSISTENCE = "RFC 9112, 9.3"
MODEL_LIST = "openapi.yaml: ListModelsResponse"
CLIENT_REQUEST_ID = "docs/behaviour.md; clients find a request in the server's log by this id"
TEN = 10  # requests on one connection
IDLE_S = 3.0  # longer than a pause between two requests of a program, far below the keep-alive time of servers
BECOMES_GET = {301, 302, 303}  # clients follow these redirects of a POST with GET (RFC 9110, 15.4)

BODY_CHECKS = {"/health": "H4.health", "/v1/models": "H3.list"}  # they fail when the response has no body


@check_each(
    "path",
    {"H1.head-health": "/health", "H1.head-models": "/v1/models", "H1.head-nowhere": "/nothing"},
    tier="S",
    source="RFC 9110, 9.3.2",
)
def test_head(path: str, proxy: ContractSession) -> None:
    """HEAD gets the status of GET and no body, and the connection can be used again."""
    alone = proxy.call("GET", path)  # on a new connection: bytes after a head would be read as the next response
    with proxy.server.connection() as connection:
        head, get = connection.call("HEAD", path), connection.call("GET", path)
    if get.ended == "complete" and not get.body and path in BODY_CHECKS:
        raise NotJudged(f"GET {path} has no body: {describe(get)}", (BODY_CHECKS[path],))
    wanted = f"status {alone.status} as with GET, complete and without a body"
    bare = (head.status, head.ended, head.raw) == (alone.status, "complete", head.raw_head)
    expect(bare, wanted, f"{describe(head)}, {len(head.raw) - len(head.raw_head)} bytes after the head")
    expect(get.ended == "complete", "a complete response to the GET that follows", describe(get))


@check_each(
    "path", {"H1.slash-chat": f"{CHAT}/", "H1.slash-chat-bare": "/chat/completions/"}, tier="S", source=REDIRECTS
)
def test_trailing_slash(path: str, proxy: ContractSession) -> None:
    """A path with a trailing slash gets no redirect that changes POST to GET."""
    capture = proxy.post(question("안녕"), path)
    expect(
        capture.status not in BECOMES_GET,
        "no redirect that changes POST to GET",
        describe_header(capture, "Location"),
    )
    if not answer_json(capture).get("error"):
        expect_answer(proxy, capture, "안녕")


@check("H2.ten", tier="S", source=PERSISTENCE)
def test_ten_on_one_connection(proxy: ContractSession) -> None:
    """Ten requests succeed on one connection."""
    with proxy.server.connection() as connection:
        asked = [proxy.with_target_model(question(f"{number}번째")) for number in range(TEN)]
        answers = [connection.call("POST", CHAT, json=body) for body in asked]
    for number, capture in enumerate(answers):
        expect_answer(proxy, capture, f"{number}번째", at=f"request {number + 1} of {TEN} on one connection")
    expect_one_connection(answers)


@check("H2.after-idling", tier="S", source=PERSISTENCE)
def test_after_idling(proxy: ContractSession) -> None:
    """A connection can be used again after a pause."""
    with proxy.server.connection() as connection:
        first = connection.call("POST", CHAT, json=proxy.with_target_model(question("하나")))
        expect_answer(proxy, first, "하나", at="before the pause")
        expect(connection.stays_open(IDLE_S), f"a connection that stays open for {IDLE_S} s", "closed by the server")
        second = connection.call("POST", CHAT, json=proxy.with_target_model(question("안녕")))
    expect_answer(proxy, second, "안녕", at="after the pause")


@check("H2.after-refusals", tier="S", source=PERSISTENCE)
def test_after_refusals(proxy: ContractSession) -> None:
    """An error does not end the connection."""
    bodies: list[object] = [[], {}, proxy.with_target_model(question("안녕", n=0))]
    with proxy.server.connection() as connection:
        refused = [connection.call("POST", CHAT, json=body) for body in bodies]
        capture = connection.call("POST", CHAT, json=proxy.with_target_model(question("안녕")))
    if not any(each.status is not None and each.status >= 400 for each in refused):
        raise NotJudged("no request is refused", ("F2.body-list", "F2.messages-missing"))
    expect_answer(proxy, capture, "안녕", at="on a connection after errors")
    expect_one_connection([*refused, capture])


def expect_one_connection(answers: Sequence[Capture]) -> None:
    """All responses came on one connection."""
    opened = len({capture.connection for capture in answers})
    ended = sum(any(word.lower() == "close" for word in capture.header_all("connection")) for capture in answers)
    found = f"{opened} connections; {ended} of {len(answers)} responses have Connection: close"
    expect(opened == 1, f"{len(answers)} requests on 1 connection", found)


REQUEST_IDS = {
    "H2.id-plain": ("POST", CHAT, question("안녕")),
    "H2.id-stream": ("POST", CHAT, question("안녕", stream=True)),
    "H2.id-refusal": ("POST", CHAT, {"messages": []}),
    "H2.id-nowhere": ("GET", "/nothing", None),
    "H2.id-models": ("GET", "/v1/models", None),
}


@check_each("request_parts", REQUEST_IDS, tier="S", source=CLIENT_REQUEST_ID)
def test_request_id_is_kept(request_parts: tuple[str, str, object], proxy: ContractSession) -> None:
    """The response has the x-request-id of the request."""
    method, path, body = request_parts
    capture = proxy.call(method, path, json=body, headers=[("X-Request-Id", "caller-0815")])
    expect_header(capture, "X-Request-Id", "caller-0815")


LISTS = {"H3.list": "/v1/models", "H3.list-bare": "/models"}


@check_each("path", LISTS, source=f"{MODEL_LIST}; all clients that list models read data and id")
@pytest.mark.smoke
def test_list_of_models(path: str, proxy: ContractSession) -> None:
    """The list of models is JSON: an object with data, a list of objects with an id."""
    capture = proxy.call("GET", path)
    expect_status(capture, 200)
    expect(
        media_type(capture) == "application/json",
        "media type application/json",
        describe_header(capture, "Content-Type"),
    )
    expect_schema(capture, "openai-model-list", "an object with data, a list of objects with an id")
    expect(bool(answer_json(capture).get("data")), "at least one model in data", describe(capture))


@check_each("row", {f"{name}-wire": (name, path) for name, path in LISTS.items()}, tier="S", source=MODEL_LIST)
def test_list_of_models_as_openai_has_it(row: tuple[str, str], proxy: ContractSession) -> None:
    """The list of models matches OpenAI's schema."""
    listing, path = row
    capture = proxy.call("GET", path)
    if schemas.breaches("openai-model-list", answer_json(capture)):
        raise NotJudged(f"the response is not a list of models: {describe(capture)}", (listing,))
    expect_schema(capture, "openai-model-list-wire", "a body that matches the schema of a list of models")


def listed(proxy: ContractSession) -> list[JsonObject]:
    """The models in the list; raises `NotJudged` when there are none."""
    found = answer_json(proxy.models).get("data")
    models = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    if not models:
        raise NotJudged(f"the list has no models: {describe(proxy.models)}", ("H3.list",))
    return models


@check("H3.each", tier="S", source="openapi.yaml: retrieveModel")
def test_each_model(proxy: ContractSession) -> None:
    """Each model of the list can be retrieved, and is the same as in the list."""
    for one in listed(proxy):
        capture = proxy.call("GET", model_path(str(one.get("id"))))
        expect_status(capture, 200)
        expect_equal(answer_json(capture).get("id"), one.get("id"), "the id of the model")
        expect_schema(capture, "openai-model", "a body that matches the schema of a model")
        if (
            proxy.target.profile == "lumen"
        ):  # other targets may give other times and permissions: no client compares them
            expect_equal(answer_json(capture), one, "the model as in the list")


@check("H3.usable", source="openapi.yaml: listModels lists the available models")
def test_each_model_is_usable(proxy: ContractSession) -> None:
    """Each model of the list answers under its own name; for other targets, the model given for them answers."""
    if (
        proxy.target.profile != "lumen"
    ):  # a listed model may be for embeddings, and the answer of a snapshot has another name
        expect_answer_with_text(proxy, proxy.ask("안녕"), "안녕")
        return
    names = [proxy.target.model] if proxy.target.url else [str(one.get("id")) for one in listed(proxy)]
    answers = [proxy.post({**question("안녕"), "model": name}) for name in names]
    expect_equal([answer_json(capture).get("model") for capture in answers], names, "the models of the answers")


@check("H3.unknown", tier="S", source="RFC 9110, 15.5.5; model_not_found is the code of OpenAI for an unknown model")
def test_unknown_model(proxy: ContractSession) -> None:
    """A request for an unknown model gets a 404 with the code model_not_found."""
    capture = proxy.call("GET", "/v1/models/no-such-model")
    expect_error(capture, 404, code="model_not_found")


NULLS = ("temperature", "top_p", "n", "stop", "stream", "stream_options", "max_tokens", "max_completion_tokens",
         "presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "top_logprobs", "seed", "user",
         "metadata", "response_format", "tools", "tool_choice", "functions", "store", "service_tier",
         "reasoning_effort", "parallel_tool_calls", "modalities", "prediction", "audio")  # fmt: skip
# In these requests `AWKWARD_TEXT` is a placeholder for the question of the shared exchanges.
TURNS = [{"role": "developer", "content": "be brief"}, {"role": "user", "content": AWKWARD_TEXT}]
# How clients send a plain question, instructions and a limit; docs/breaks.md names the clients.
SENT_BY_CLIENTS: dict[str, dict[str, object]] = {
    "H4.content-parts": {"messages": [{"role": "user", "content": [{"type": "text", "text": AWKWARD_TEXT}]}]},
    "H4.developer": {"messages": TURNS},
    "H4.langchain": {"stream": False},
    "H4.limits-zero": {"temperature": 0},
    "H4.max-completion-tokens": {"max_completion_tokens": 100},
    "H4.max-tokens": {"max_tokens": 100},
    "H4.pydantic-ai": {"stream": False, "max_completion_tokens": 10},
}
# Requests that no client sends by default: a program has to set these fields. OpenAI refuses unknown fields.
ACCEPTED: dict[str, dict[str, object]] = {
    **{f"H4.null-{name.replace('_', '-')}": {name: None} for name in NULLS},
    "H4.unknown-field": {"thinking": {"type": "enabled", "budget_tokens": 1}, "top_k": 40},
    "H4.unknown-message-field": {
        "messages": [{"role": "user", "content": AWKWARD_TEXT, "name": "kim", "cache": {"ttl": 1}}]
    },
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
            {"role": "user", "content": AWKWARD_TEXT},
        ]
    },
    "H4.no-model": {"model": None},
}


@check_each("fields", SENT_BY_CLIENTS, source="docs/breaks.md: the clients that send it; openapi.yaml")
def test_sent_by_clients(fields: dict[str, object], proxy: ContractSession) -> None:
    """Requests that client libraries send are accepted, unless the error says that the model lacks a feature."""
    expect_accepted(proxy, fields)


@check_each("fields", ACCEPTED, tier="S", source="openapi.yaml: CreateChatCompletionRequest")
def test_accepted(fields: dict[str, object], proxy: ContractSession) -> None:
    """Requests that OpenAI accepts are accepted, unless the error says that the model lacks a feature."""
    expect_accepted(proxy, fields)


# OpenAI's reasoning models refuse `max_tokens`, and temperatures other than 1, with these codes (ComfyUI-Griptape#312,
# forgecode#1177).
UNSUPPORTED_CODES = {"unsupported_parameter", "unsupported_value"}


def expect_accepted(proxy: ContractSession, fields: dict[str, object]) -> None:
    """A question with these fields is answered, with its text if the gateway of the suite echoes it."""
    capture = proxy.post(replace_text({**question(), **fields}, proxy.question_text))
    if (
        proxy.target.profile == "openai"
        and child_object(answer_json(capture), "error").get("code") in UNSUPPORTED_CODES
    ):
        return
    expect_status(capture, 200)
    if "gateway" in proxy.target.can:
        repeated = proxy.question_text in assistant_text(capture)
        expect(repeated, f"a text that contains the question {shorten(proxy.question_text)}", describe(capture))


def replace_text(value: Any, text: str) -> Any:  # noqa: ANN401 -- any JSON
    """Replace `AWKWARD_TEXT` in a JSON value."""
    if isinstance(value, dict):
        return {key: replace_text(each, text) for key, each in value.items()}
    if isinstance(value, list):
        return [replace_text(each, text) for each in value]
    return text if value == AWKWARD_TEXT else value


NOT_SENT = {"functions", "half-an-emoji", "no-limit"}  # no client is known to send these


@check_each(
    "fields",
    {
        Check(f"H4.lenient-{name}", "S" if name in NOT_SENT else "M"): fields
        for name, fields in LENIENT_REQUESTS.items()
    },
    source="docs/behaviour.md; OpenAI or LM Studio accept it",
)
def test_leniently_accepted(fields: dict[str, object], proxy: ContractSession) -> None:
    """Requests that other servers accept, or whose unusual fields have no effect, are accepted."""
    expect_accepted(proxy, fields)


@check("H4.stream-with-sdk-headers", source="openai-python _base_client.py: Accept: application/json for streams, too")
def test_accept_is_not_negotiated(proxy: ContractSession) -> None:
    """A request for a stream with Accept: application/json, as the OpenAI libraries send it, gets a stream."""
    headers = [("Accept", "application/json"), ("X-Stainless-Retry-Count", "0"), ("User-Agent", "OpenAI/Python")]
    capture: Capture = proxy.post(question("안녕", stream=True), headers=headers)
    is_stream = media_type(capture) == "text/event-stream"
    expect(is_stream, "media type text/event-stream", describe_header(capture, "Content-Type"))
    expect_answer(proxy, capture, "안녕")


@check("H4.health", tier="S", marks=(pytest.mark.smoke,), source="docs/behaviour.md: /health")
def test_health(proxy: ContractSession) -> None:
    """The health matches its schema."""
    expect_status(proxy.health, 200)
    expect_schema(proxy.health, "proxy-health", "a body that matches the schema of the health")
