"""K: real clients at their defaults: all words get through, refusals are their own errors, nothing is asked twice.

Each client is a process of its own in an environment of its own, asked once for everything; the checks read what it
told. Where clients are not set up, K0 says so once for each, and nothing else of them is collected.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lumen_conformance.contract.expectations import expect_equal
from lumen_conformance.gateway.server import Gateway
from lumen_conformance.registry.declaration import TestFunction, check, check_each
from lumen_conformance.registry.refutation import Failure, Refuted, expect, shorten
from lumen_conformance.stages.evidence import stage
from lumen_conformance.targets.launch import Launches

from .clients.client_list import CLIENTS, Client
from .clients.client_process import TEXTS, Act, Raised, Told, ask_everything

pytestmark = pytest.mark.clients

HERE = {name: client for name, client in CLIENTS.items() if client.missing is None}
MODELS = ["lumen-gateway", "lumen-lua", "lumen-elo", "lumen-nuri", "lumen-sena"]
REFUSALS = tuple(next(iter(CLIENTS.values())).raises)
ATTEMPTS = 3  # of every client at its defaults: the first one and two retries


@stage(scenario=0, needs=("gateway", "models", "auth"), variants=HERE)
def told(variant: Client, launch: Launches, gateway: Gateway, folder: Path) -> Told:
    """One client, asked everything."""
    return ask_everything(variant, launch, gateway, folder)


@pytest.fixture
def client(request: pytest.FixtureRequest) -> Client:
    """The row of the client that has told."""
    return CLIENTS[request.node.callspec.params["told"]]


def of(*names: str) -> Callable[[TestFunction], TestFunction]:
    """Ask these clients, as far as they are set up; without any of them the test is not collected."""
    here = [name for name in names if name in HERE]

    def mark(function: TestFunction) -> TestFunction:
        function.__test__ = bool(here)  # type: ignore[attr-defined]  # pytest's own word for it
        marked: TestFunction = pytest.mark.parametrize("told", here, indirect=True)(function)
        return marked

    return mark


def row(name: str, client: Client) -> object:
    """A client for K0: skipped, with the reason, where it is not set up."""
    missing = [pytest.mark.skip(reason=f"{name}: {client.missing}")] if client.missing else []
    return pytest.param(name, marks=missing)


everyone = of(*CLIENTS)
those_who_obey = of(*(name for name, client in CLIENTS.items() if client.obeys))
openai_libraries = of("openai", "openai-3", "openai-node")


def act_of(told: Told, name: str) -> Act:
    """What came of an act; it must have been played."""
    if name not in told.acts:
        raise Refuted(Failure(f"the act {name}", f"only {', '.join(told.acts)}"))
    return told.acts[name]


def fact(told: Told, act: str, name: str) -> Any:  # noqa: ANN401 -- any JSON
    """What an act has told under a name; it must have told something."""
    facts = act_of(told, act).facts
    expect(name in facts, f"{name} of the act {act}", f"only {', '.join(facts) or 'an error'}")
    return facts[name]


def answered(told: Told, name: str, text: str) -> Act:
    """What came of an act that must end without an error, and with this text."""
    act = act_of(told, name)
    expect(act.error is None, f"the text {text!r}", f"the error {shorten(act.error)}")
    expect_equal(act.text, text, "the text")
    return act


def raised(told: Told, name: str) -> Raised:
    """The error of an act that must end with one."""
    act = act_of(told, name)
    if act.error is None:
        raise Refuted(Failure("an error", f"none, but the text {act.text!r}"))
    return act.error


def expect_raised(error: Raised, name: str, status: int | None, code: str | None) -> None:
    """An error is of this class or below it, with the status and the code that the proxy gave."""
    alike = name in (error.name, *error.ancestors) and (error.status, error.code) == (status, code)
    found = f"{error.name} with status {error.status} and code {error.code}: {error.message}"
    expect(alike, f"{name} with status {status} and code {code}", found)


def expect_finish(act: Act, client: Client) -> None:
    """The client tells that the answer is whole, where it tells of finishes at all."""
    expect_equal(act.facts.get("finish"), None if "finish" in client.hides else "stop", "finish")


def expect_asked(told: Told, question: str, times: int) -> None:
    """The gateway was asked a question this often."""
    found = told.asked.get(question, 0)
    expect(found == times, f"{times} requests of the gateway for {question}", f"{found} of them")


@pytest.mark.parametrize("told", [row(*item) for item in CLIENTS.items()], indirect=True)
@check("K0")
def test_pinned(told: Told, client: Client) -> None:
    """The client that is tried is the release that is pinned."""
    expect_equal(told.versions, client.releases, "releases")


@everyone
@check_each("text", {f"K1.{name}": name for name in TEXTS})
def test_plain(text: str, told: Told, client: Client) -> None:
    """A text reaches the gateway as the client was given it, and the answer comes back whole."""
    act = answered(told, f"plain.{text}", TEXTS[text])
    expect(told.asked.get(TEXTS[text], 0) > 0, f"the gateway is asked {TEXTS[text]!r}", "it is not")
    expect_finish(act, client)


@everyone
@check_each("text", {f"K2.{name}": name for name in TEXTS})
def test_streamed(text: str, told: Told, client: Client) -> None:
    """A streamed answer comes in pieces that join to the same text."""
    act = answered(told, f"stream.{text}", TEXTS[text])
    expect(len(act.pieces) > 1, "more than one piece", f"{len(act.pieces)} pieces")
    expect_finish(act, client)


@everyone
@check_each("name", {"K3.plain": "plain.korean-nfc", "K3.stream": "usage"})
def test_usage(name: str, told: Told, client: Client) -> None:
    """The client is told what an answer has cost, plain or streamed."""
    usage = fact(told, name, "usage")
    parts = [usage.get(count) for count in ("prompt_tokens", "completion_tokens")] if isinstance(usage, dict) else []
    counts = [part for part in parts if isinstance(part, int) and part > 0]
    expect(len(counts) == 2, "prompt_tokens and completion_tokens above 0", shorten(usage))
    total = None if "total_tokens" in client.hides else sum(counts)
    expect_equal(usage.get("total_tokens"), total, "total_tokens")


@everyone
@check_each("name", {f"K4.{name}": name for name in REFUSALS})
def test_refusal(name: str, told: Told, client: Client) -> None:
    """A refusal is raised as the client's own error for it, with the status and the code that the proxy gave."""
    expected = client.raises[name]
    expect_raised(raised(told, name), expected.name, expected.status, expected.code)


@everyone
@check("K5.away")
def test_asked_again(told: Told) -> None:
    """A question that the gateway was too busy to take is asked again, as the proxy invites to."""
    expect_asked(told, "@away", ATTEMPTS)


@those_who_obey
@check_each("question", {"K5.lost": "@lost", "K5.lost-stream": "@lost-stream"})
def test_asked_once(question: str, told: Told) -> None:
    """A question that the gateway may have answered is asked once, because the proxy says so."""
    expect_asked(told, question, 1)


@of("ai-sdk")
@check_each("name", {"K5.no-retries": "lost-once", "K5.no-retries-stream": "lost-once-stream"})
def test_asked_once_without_retries(name: str, told: Told) -> None:
    """A client that asks again whatever it is told asks once when its own retries are off."""
    expect_raised(raised(told, name), "APICallError", 502, "gateway_connection_lost")
    expect_asked(told, f"@{name}", 1)


@everyone
@check("K6")
def test_late_failure(told: Told) -> None:
    """A stream that breaks after it has begun is never taken for a whole answer."""
    raised(told, "late")
    finish = told.acts["late"].facts.get("finish")
    expect(finish != "stop", "another finish than stop", shorten(finish))
    expect_asked(told, "@late", 1)


@of("openai", "openai-3", "litellm", "openai-node")
@check("K7.no-messages")
def test_no_messages(told: Told, client: Client) -> None:
    """A question without any message is a bad request."""
    error = raised(told, "no-messages")
    expect_raised(error, client.raises["blank"].name, 400, error.code)


@openai_libraries
@check("K7.models")
def test_models(told: Told) -> None:
    """The client finds every model of the list by its name."""
    expect_equal(act_of(told, "models").facts, {"listed": MODELS, "found": MODELS}, "models")


@openai_libraries
@check("K7.unknown-model")
def test_unknown_model(told: Told) -> None:
    """A model that is not in the list is not found."""
    error = raised(told, "unknown-model")
    name = "openai.NotFoundError" if error.name.startswith("openai.") else "NotFoundError"
    expect_raised(error, name, 404, "model_not_found")


@openai_libraries
@check("K7.request-id")
def test_request_id(told: Told) -> None:
    """The client knows the request id that the response carries."""
    answered(told, "headers", TEXTS["korean-nfc"])
    found = fact(told, "headers", "request_id")
    expect(bool(found), "a request id", shorten(found))
    expect_equal(found, fact(told, "headers", "own_request_id"), "the request id")


@openai_libraries
@check("K7.stream-helper")
def test_stream_helper(told: Told) -> None:
    """The helper for streams, which checks more than a plain stream does, builds the whole answer."""
    answered(told, "helper", TEXTS["korean-nfc"])
    expect_equal(fact(told, "helper", "finish"), "stop", "finish")


@of("openai", "openai-3", "litellm", "openai-node")
@check("K7.metadata")
def test_metadata(told: Told) -> None:
    """A program can read the fields that the proxy adds to an answer."""
    found = fact(told, "plain.korean-nfc", "metadata")
    metadata = found if isinstance(found, dict) else {}
    wanted = {"persona": {"name": "세나"}, "sources": ["cache"]}
    expect_equal({name: metadata.get(name) for name in wanted}, wanted, "lumen_metadata")


@of("openai-async")
@check("K7.at-once")
def test_at_once(told: Told) -> None:
    """Nine questions at once on one client get their own answers, streamed or not."""
    asked = fact(told, "at-once", "asked")
    expect(len(asked) == 9, "nine questions", shorten(asked))
    expect_equal(fact(told, "at-once", "answered"), asked, "answers")


@of("llm")
@check("K7.command")
def test_command(told: Told) -> None:
    """The command line tool prints the answer."""
    expect_equal(act_of(told, "command").facts, {"exit_status": 0, "stderr": ""}, "how the command ended")
    answered(told, "command", TEXTS["korean-nfc"])
