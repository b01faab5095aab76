"""F1, F2, F4, F6, F7, F8: bad requests, one row each, and what every refusal has in common."""

import json

import pytest

from lumen_conformance.checks.catalogue import judges
from lumen_conformance.checks.decorators import judged
from lumen_conformance.checks.findings import child
from lumen_conformance.checks.verdict import Judge
from lumen_conformance.contract import exchanges
from lumen_conformance.contract.bad_requests import LIMITS, ROWS, Bad
from lumen_conformance.contract.exchanges import JSON
from lumen_conformance.contract.expectations import describe, expect_client_error, expect_words
from lumen_conformance.contract.prerequisites import need_answers, need_refusal
from lumen_conformance.contract.session import Demand, Talk
from lumen_conformance.http.client import Capture
from lumen_conformance.http.documents import answer
from lumen_conformance.registry.declaration import check, check_each
from lumen_conformance.registry.refutation import NotJudged, expect, shorten
from lumen_conformance.targets.endpoint import CHAT

SMOKE = pytest.param("refusal", marks=pytest.mark.smoke)
REFUSALS = [SMOKE, *exchanges.REFUSALS[1:]]
ALL = {**ROWS, **LIMITS}
WITH_FIELD = {name: bad for name, bad in ALL.items() if bad.field}
UNPROCESSABLE = 422
SERVER_ERROR = 500


def send(talk: Talk, bad: Bad) -> Capture:
    """A bad request as it is."""
    return talk.call("POST", CHAT, body=bad.body, headers=[JSON])


def refused(talk: Talk, name: str) -> Capture:
    """The response to a bad request, which is sent once for all checks that read it."""
    return talk.once(f"bad request {name}", lambda: send(talk, ALL[name]))


@pytest.mark.parametrize("exchange", [SMOKE, *exchanges.PROVOKED[1:]], indirect=True)
@judged(judges("F1"))
def test_envelope(judge: Judge, refusal: Capture, demand: Demand) -> None:
    """Every refusal is the same envelope."""
    demand(judge, refusal)


@check_each("name", {f"F2.{name}": name for name in ALL}, tier="S")
def test_bad_request(name: str, talk: Talk) -> None:
    """A bad request gets a 4xx."""
    expect_client_error(refused(talk, name))


@check_each("name", {f"F2.{name}.never-fails": name for name in ALL})
def test_bad_request_is_no_failure(name: str, talk: Talk) -> None:
    """A bad request is no 5xx and no lost connection, after which clients ask again, and no error with status 200."""
    seen = refused(talk, name)
    need_answers(talk, seen)
    failed = seen.ended != "complete" or not (seen.status == 200 or 400 <= (seen.status or 0) < SERVER_ERROR)
    disguised = seen.status == 200 and answer(seen).get("error") is not None
    expect(not (failed or disguised), "a status from 400 to 499, or an answer", describe(seen))


@pytest.mark.parametrize("exchange", ["refusal", "refused_stream", "unparsable", "wrong_type"], indirect=True)
@check("F2.not-422", tier="S")  # openai-python and openai-node have an error of another class for it
def test_not_unprocessable(refusal: Capture) -> None:
    """A bad request gets another status than 422, which the OpenAI libraries raise as another error."""
    expect(refusal.status != UNPROCESSABLE, "a status from 400 to 499, but not 422", describe(refusal))


@check_each("name", {f"F2.{name}.param": name for name in WITH_FIELD}, tier="S")
def test_param(name: str, talk: Talk) -> None:
    """A refusal names the field that is wrong."""
    field, seen = str(ALL[name].field), refused(talk, name)
    need_refusal(seen, (f"F2.{name}",))
    error = child(answer(seen), "error")
    if not error:
        raise NotJudged("the refusal has no object error", ("F1.2",))
    found = error.get("param")
    named = isinstance(found, str) and found.startswith(field)
    expect(named, f"an error whose param begins with {field!r}", f"param: {shorten(found)}; {describe(seen)}")


@pytest.mark.parametrize("name", ["messages-empty", "role-unknown", "temperature-high"])
@judged(judges("F4"))
def test_refused_before_the_stream(judge: Judge, name: str, talk: Talk, demand: Demand) -> None:
    """A bad request for a stream is refused like any other."""
    need_refusal(refused(talk, name), (f"F2.{name}",))
    asked = {**json.loads(ROWS[name].body), "stream": True}
    demand(judge, send(talk, Bad(json.dumps(asked).encode())))


@pytest.mark.parametrize("exchange", ["chat", "stream", *REFUSALS, "models", "health"], indirect=True)
@judged(judges("F6"))
def test_no_leaks(judge: Judge, exchange: Capture, demand: Demand) -> None:
    """Nothing of the server's inside comes out."""
    demand(judge, exchange)


@check("F7")
def test_healthy_after_bad(talk: Talk) -> None:
    """A healthy request succeeds after each bad one."""
    for name, bad in (ALL if talk.target.profile == "lumen" else ROWS).items():
        send(talk, bad)
        expect_words(talk, talk.ask("안녕"), "안녕", at=f"after the bad request {name}")


@pytest.mark.parametrize(
    "exchange",
    ["chat", "stream", "usage_stream", "waited", *REFUSALS, "models", "model", "health"],
    indirect=True,
)
@judged(judges("F8"))
def test_request_id(judge: Judge, exchange: Capture, demand: Demand) -> None:
    """Every response can be named in a report."""
    demand(judge, exchange)
