"""K: client libraries with default settings: texts arrive, errors are the client's own, no request is paid twice.

Each client runs all its acts once, in its own process and environment; the checks read its record. When a client is not
set up, its checks are skipped with the reason.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from _pytest.mark import ParameterSet

from lumen_conformance.contract.expectations import expect_equal
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.registry.declaration import TestFunction, check, check_each
from lumen_conformance.registry.refutation import Failure, Refuted, expect, shorten
from lumen_conformance.stages.evidence import stage
from lumen_conformance.targets.launch import Launcher

from .clients.client_list import CLIENTS, Client
from .clients.client_process import TEXTS, Act, ClientRecord, Raised, run_client

pytestmark = pytest.mark.clients

MODELS = ["lumen-gateway", "lumen-lua", "lumen-elo", "lumen-nuri", "lumen-sena"]
REFUSALS = tuple(next(iter(CLIENTS.values())).raises)
DEFAULTS = "docs/clients.md: each client with its default settings"
ATTEMPTS = 3  # of every client with default settings: the first and two retries


@stage(scenario=0, needs=("gateway", "models", "auth"), variants=CLIENTS)
def record(variant: Client, launch: Launcher, gateway: ScriptedGateway, folder: Path) -> ClientRecord:
    """The record of a client."""
    return run_client(variant, launch, gateway, folder)


@pytest.fixture
def client(request: pytest.FixtureRequest) -> Client:
    """The client of the record."""
    return CLIENTS[request.node.callspec.params["record"]]


def parameter_of(name: str) -> ParameterSet:
    """The parameter for a client; skipped with the reason when the client is not set up."""
    missing = CLIENTS[name].missing
    return pytest.param(name, marks=[pytest.mark.skip(reason=f"{name}: {missing}")] if missing else [])


def with_clients(*names: str) -> Callable[[TestFunction], TestFunction]:
    """Run a test with each of these clients."""
    marked: Callable[[TestFunction], TestFunction] = pytest.mark.parametrize(
        "record", [parameter_of(name) for name in names], indirect=True
    )
    return marked


with_all_clients = with_clients(*CLIENTS)
with_obeying_clients = with_clients(*(name for name, client in CLIENTS.items() if client.obeys))
with_openai_libraries = with_clients("openai", "openai-3", "openai-node")


def act_of(record: ClientRecord, name: str) -> Act:
    """The record of an act; raises `Refuted` when there is none."""
    if name not in record.acts:
        raise Refuted(Failure(f"the act {name}", f"only {', '.join(record.acts)}"))
    return record.acts[name]


def field_of(record: ClientRecord, act: str, name: str) -> Any:  # noqa: ANN401 -- any JSON
    """A field of an act; raises `Refuted` when there is none."""
    fields = act_of(record, act).fields
    expect(name in fields, f"{name} of the act {act}", f"only {', '.join(fields) or 'an error'}")
    return fields[name]


def successful_act(record: ClientRecord, name: str, text: str) -> Act:
    """The record of an act that must succeed with this text."""
    act = act_of(record, name)
    expect(act.error is None, f"the text {text!r}", f"the error {shorten(act.error)}")
    expect_equal(act.text, text, "the text")
    return act


def error_of(record: ClientRecord, name: str) -> Raised:
    """The error of an act that must fail."""
    act = act_of(record, name)
    if act.error is None:
        raise Refuted(Failure("an error", f"none, but the text {act.text!r}"))
    return act.error


def expect_raised(error: Raised, name: str, status: int | None, code: str | None) -> None:
    """The error has this class or a subclass, and the status and the code of the proxy."""
    alike = name in (error.name, *error.ancestors) and (error.status, error.code) == (status, code)
    found = f"{error.name} with status {error.status} and code {error.code}: {error.message}"
    expect(alike, f"{name} with status {status} and code {code}", found)


def expect_finish(act: Act, client: Client) -> None:
    """The client returns the finish_reason stop, if it returns finish_reasons."""
    expect_equal(act.fields.get("finish"), None if "finish" in client.hides else "stop", "finish")


def expect_asked(record: ClientRecord, question: str, times: int) -> None:
    """The gateway received this number of requests for a question."""
    found = record.asked.get(question, 0)
    expect(found == times, f"{times} requests to the gateway for {question}", f"{found} requests")


@pytest.mark.parametrize("record", [parameter_of(name) for name in CLIENTS], indirect=True)
@check("K0", source="docs/clients.md: the pinned releases")
def test_pinned(record: ClientRecord, client: Client) -> None:
    """The release of the client is the pinned one."""
    expect_equal(record.versions, client.releases, "releases")


@with_all_clients
@check_each("text", {f"K1-{name}": name for name in TEXTS}, source=DEFAULTS)
def test_plain(text: str, record: ClientRecord, client: Client) -> None:
    """A text ({row}) reaches the gateway unchanged, and the client returns the complete answer."""
    act = successful_act(record, f"plain.{text}", TEXTS[text])
    expect(record.asked.get(TEXTS[text], 0) > 0, f"a request to the gateway with {TEXTS[text]!r}", "none")
    expect_finish(act, client)


@with_all_clients
@check_each("text", {f"K2-{name}": name for name in TEXTS}, source=DEFAULTS)
def test_streamed(text: str, record: ClientRecord, client: Client) -> None:
    """A streamed answer ({row}) has several pieces, which join to the same text."""
    act = successful_act(record, f"stream.{text}", TEXTS[text])
    expect(len(act.pieces) > 1, "more than one piece", f"{len(act.pieces)} pieces")
    expect_finish(act, client)


@with_all_clients
@check_each("name", {"K3-plain": "plain.korean-nfc", "K3-stream": "usage"}, source="openapi.yaml: CompletionUsage")
def test_usage(name: str, record: ClientRecord, client: Client) -> None:
    """The client returns the usage of an answer ({row})."""
    usage = field_of(record, name, "usage")
    parts = [usage.get(count) for count in ("prompt_tokens", "completion_tokens")] if isinstance(usage, dict) else []
    counts = [part for part in parts if isinstance(part, int) and part > 0]
    expect(len(counts) == 2, "prompt_tokens and completion_tokens above 0", shorten(usage))
    total = None if "total_tokens" in client.hides else sum(counts)
    expect_equal(usage.get("total_tokens"), total, "total_tokens")


@with_all_clients
@check_each(
    "name", {f"K4-{name}": name for name in REFUSALS}, source="tests/contract/clients/client_list.py: the error classes"
)
def test_refusal(name: str, record: ClientRecord, client: Client) -> None:
    """The client raises its own error class for an error ({row}), with the status and the code of the proxy."""
    expected = client.raises[name]
    expect_raised(error_of(record, name), expected.name, expected.status, expected.code)


@with_all_clients
@check("K5-away", source="the client's retries at its defaults; docs/behaviour.md")
def test_asked_again(record: ClientRecord) -> None:
    """The client retries a request that the gateway was too busy to accept."""
    expect_asked(record, "@away", ATTEMPTS)


@with_obeying_clients
@check_each(
    "question",
    {"K5-lost": "@lost", "K5-lost-stream": "@lost-stream"},
    source="openai-python _base_client.py: x-should-retry",
)
def test_asked_once(question: str, record: ClientRecord) -> None:
    """The client does not retry a request ({row}) that the gateway may have processed, because of x-should-retry."""
    expect_asked(record, question, 1)


@with_clients("ai-sdk")
@check_each(
    "name",
    {"K5-no-retries": "lost-once", "K5-no-retries-stream": "lost-once-stream"},
    source="docs/clients.md: maxRetries of the AI SDK",
)
def test_asked_once_without_retries(name: str, record: ClientRecord) -> None:
    """A client that ignores x-should-retry sends one request ({name}) when its retries are turned off."""
    expect_raised(error_of(record, name), "APICallError", 502, "gateway_connection_lost")
    expect_asked(record, f"@{name}", 1)


@with_all_clients
@check("K6", source="docs/breaks.md; the client raises on an error event or an aborted body")
def test_late_failure(record: ClientRecord) -> None:
    """The client does not treat a stream that fails after its start as a complete answer."""
    error_of(record, "late")
    finish = record.acts["late"].fields.get("finish")
    expect(finish != "stop", "a finish_reason other than stop", shorten(finish))
    expect_asked(record, "@late", 1)


@with_clients("openai", "openai-3", "litellm", "openai-node")
@check("K7-no-messages", source="openapi.yaml: messages has at least one item")
def test_no_messages(record: ClientRecord, client: Client) -> None:
    """The client raises its error class of a bad request for a request without messages."""
    error = error_of(record, "no-messages")
    expect_raised(error, client.raises["blank"].name, 400, error.code)


@with_openai_libraries
@check("K7-models", source="openapi.yaml: listModels, retrieveModel")
def test_models(record: ClientRecord) -> None:
    """The client lists the models and retrieves each by its name."""
    expect_equal(act_of(record, "models").fields, {"listed": MODELS, "found": MODELS}, "models")


@with_openai_libraries
@check("K7-unknown-model", source="openai-python _client.py: 404 raises NotFoundError")
def test_unknown_model(record: ClientRecord) -> None:
    """The client raises its error class of status 404 for a model that is not in the list."""
    error = error_of(record, "unknown-model")
    name = "openai.NotFoundError" if error.name.startswith("openai.") else "NotFoundError"
    expect_raised(error, name, 404, "model_not_found")


@with_openai_libraries
@check("K7-request-id", source="openai-python _models.py and openai-node: _request_id of x-request-id")
def test_request_id(record: ClientRecord) -> None:
    """The client returns the request id of the response."""
    successful_act(record, "headers", TEXTS["korean-nfc"])
    found = field_of(record, "headers", "request_id")
    expect(bool(found), "a request id", shorten(found))
    expect_equal(found, field_of(record, "headers", "own_request_id"), "the request id")


@with_openai_libraries
@check("K7-stream-helper", source="openai-python lib/streaming; openai-node lib/ChatCompletionStream")
def test_stream_helper(record: ClientRecord) -> None:
    """The stream helper, which validates more than a stream, builds the complete answer."""
    successful_act(record, "helper", TEXTS["korean-nfc"])
    expect_equal(field_of(record, "helper", "finish"), "stop", "finish")


@with_clients("openai", "openai-3", "litellm", "openai-node")
@check("K7-metadata", source="docs/behaviour.md: lumen_metadata")
def test_metadata(record: ClientRecord) -> None:
    """The client returns the fields that the proxy adds to an answer."""
    found = field_of(record, "plain.korean-nfc", "metadata")
    metadata = found if isinstance(found, dict) else {}
    wanted = {"persona": {"name": "세나"}, "sources": ["cache"]}
    expect_equal({name: metadata.get(name) for name in wanted}, wanted, "lumen_metadata")


@with_clients("openai-async")
@check("K7-at-once", source="RFC 9112, 9.3.2")
def test_at_once(record: ClientRecord) -> None:
    """Nine concurrent questions on one client get their own answers, plain and streamed."""
    asked = field_of(record, "at-once", "asked")
    expect(len(asked) == 9, "nine questions", shorten(asked))
    expect_equal(field_of(record, "at-once", "answered"), asked, "answers")


@with_clients("llm")
@check("K7-command", source="docs/clients.md: the command llm")
def test_command(record: ClientRecord) -> None:
    """The command line tool prints the answer."""
    expect_equal(
        act_of(record, "command").fields, {"exit_status": 0, "stderr": ""}, "the exit status and the error output"
    )
    successful_act(record, "command", TEXTS["korean-nfc"])
