"""K: real clients at their defaults: all words get through, refusals are their own errors, nothing is asked twice.

Each client is a process of its own in an environment of its own, asked once for everything; the checks read what it
told. Where clients are not set up, K0 says so once for each, and nothing else of them is collected.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.contract.clients.asking import TEXTS, Told, ask_everything
from tests.contract.clients.rows import CLIENTS, Client
from tests.fixtures.evidence import stage
from tests.fixtures.gateway import Gateway
from tests.fixtures.processes import Launches
from tests.fixtures.report.checks import TestFunction, check, check_each

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


@pytest.mark.parametrize("told", [row(*item) for item in CLIENTS.items()], indirect=True)
@check("K0")
def test_pinned(told: Told, client: Client) -> None:
    """The client that is tried is the release that is pinned."""
    assert told.versions == client.releases


@everyone
@check_each("text", {f"K1.{name}": name for name in TEXTS})
def test_plain(text: str, told: Told, client: Client) -> None:
    """A text reaches the gateway as the client was given it, and the answer comes back whole."""
    act = told.acts[f"plain.{text}"]
    assert act.error is None
    assert act.text == TEXTS[text]
    assert told.asked[TEXTS[text]] > 0
    assert act.facts.get("finish") == (None if "finish" in client.hides else "stop")


@everyone
@check_each("text", {f"K2.{name}": name for name in TEXTS})
def test_streamed(text: str, told: Told, client: Client) -> None:
    """A streamed answer comes in pieces that join to the same text."""
    act = told.acts[f"stream.{text}"]
    assert act.error is None
    assert act.text == TEXTS[text]
    assert len(act.pieces) > 1
    assert act.facts.get("finish") == (None if "finish" in client.hides else "stop")


@everyone
@check_each("name", {"K3.plain": "plain.korean-nfc", "K3.stream": "usage"})
def test_usage(name: str, told: Told, client: Client) -> None:
    """The client is told what an answer has cost, plain or streamed."""
    usage = told.acts[name].facts["usage"]
    parts = usage["prompt_tokens"], usage["completion_tokens"]
    assert min(parts) > 0
    assert usage.get("total_tokens") == (None if "total_tokens" in client.hides else sum(parts))


@everyone
@check_each("name", {f"K4.{name}": name for name in REFUSALS})
def test_refusal(name: str, told: Told, client: Client) -> None:
    """A refusal is raised as the client's own error for it, with the status and the code that the proxy gave."""
    expected, error = client.raises[name], told.acts[name].error
    assert error is not None, f"no error, but {told.acts[name].text!r}"
    assert expected.name in (error.name, *error.ancestors), error.message
    assert (error.status, error.code) == (expected.status, expected.code), error.message


@everyone
@check("K5.away")
def test_asked_again(told: Told) -> None:
    """A question that the gateway was too busy to take is asked again, as the proxy invites to."""
    assert told.asked["@away"] == ATTEMPTS


@those_who_obey
@check_each("question", {"K5.lost": "@lost", "K5.lost-stream": "@lost-stream"})
def test_asked_once(question: str, told: Told) -> None:
    """A question that the gateway may have answered is asked once, because the proxy says so."""
    assert told.asked[question] == 1


@of("ai-sdk")
@check_each("name", {"K5.no-retries": "lost-once", "K5.no-retries-stream": "lost-once-stream"})
def test_asked_once_without_retries(name: str, told: Told) -> None:
    """A client that asks again whatever it is told asks once when its own retries are off."""
    error = told.acts[name].error
    assert error is not None
    assert (error.name, error.status, error.code) == ("APICallError", 502, "gateway_connection_lost")
    assert told.asked[f"@{name}"] == 1


@everyone
@check("K6")
def test_late_failure(told: Told) -> None:
    """A stream that breaks after it has begun is never taken for a whole answer."""
    act = told.acts["late"]
    assert act.error is not None
    assert act.facts.get("finish") != "stop"
    assert told.asked["@late"] == 1


@of("openai", "openai-3", "litellm", "openai-node")
@check("K7.no-messages")
def test_no_messages(told: Told, client: Client) -> None:
    """A question without any message is a bad request."""
    error = told.acts["no-messages"].error
    assert error is not None
    assert client.raises["blank"].name in (error.name, *error.ancestors)
    assert error.status == 400


@openai_libraries
@check("K7.models")
def test_models(told: Told) -> None:
    """The client finds every model of the list by its name."""
    assert told.acts["models"].facts == {"listed": MODELS, "found": MODELS}


@openai_libraries
@check("K7.unknown-model")
def test_unknown_model(told: Told) -> None:
    """A model that is not in the list is not found."""
    error = told.acts["unknown-model"].error
    assert error is not None
    assert error.name.removeprefix("openai.") == "NotFoundError"
    assert (error.status, error.code) == (404, "model_not_found")


@openai_libraries
@check("K7.request-id")
def test_request_id(told: Told) -> None:
    """The client knows the request id that the response carries."""
    act = told.acts["headers"]
    assert act.text == TEXTS["korean-nfc"]
    assert act.facts["request_id"]
    assert act.facts["request_id"] == act.facts["own_request_id"]


@openai_libraries
@check("K7.stream-helper")
def test_stream_helper(told: Told) -> None:
    """The helper for streams, which checks more than a plain stream does, builds the whole answer."""
    act = told.acts["helper"]
    assert act.error is None
    assert act.text == TEXTS["korean-nfc"]
    assert act.facts["finish"] == "stop"


@of("openai", "openai-3", "litellm", "openai-node")
@check("K7.metadata")
def test_metadata(told: Told) -> None:
    """A program can read the fields that the proxy adds to an answer."""
    metadata = told.acts["plain.korean-nfc"].facts["metadata"]
    assert (metadata["persona"], metadata["sources"]) == ({"name": "세나"}, ["cache"])


@of("openai-async")
@check("K7.at-once")
def test_at_once(told: Told) -> None:
    """Nine questions at once on one client get their own answers, streamed or not."""
    facts = told.acts["at-once"].facts
    assert len(facts["asked"]) == 9
    assert facts["answered"] == facts["asked"]


@of("llm")
@check("K7.command")
def test_command(told: Told) -> None:
    """The command line tool prints the answer."""
    act = told.acts["command"]
    assert act.facts == {"exit_status": 0, "stderr": ""}
    assert act.text == TEXTS["korean-nfc"]
