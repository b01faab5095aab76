"""F1, F2, F4, F6, F7, F8: bad requests, one row each, and what every refusal has in common."""

import json

import pytest

from tests.contract.bad_requests import LIMITS, MUST, ROWS, Bad
from tests.contract.talking import Demand, Talk
from tests.fixtures.capture import Capture
from tests.fixtures.judges.asking import child
from tests.fixtures.judges.catalogue import BAD_REQUEST, judges
from tests.fixtures.judges.checking import judged
from tests.fixtures.judges.documents import answer
from tests.fixtures.judges.verdict import Judge
from tests.fixtures.report.checks import Check, check, check_each
from tests.fixtures.served import CHAT

JSON = ("Content-Type", "application/json")
REFUSALS = [pytest.param("refusal", marks=pytest.mark.smoke), "refused_stream", "lost", "oversize", "malformed"]
ERRORS = ["refusal", "refused_stream", "lost", "oversize", "malformed"]
ALL = {**ROWS, **LIMITS}
WITH_FIELD = {name: bad for name, bad in ALL.items() if bad.field}


def send(talk: Talk, bad: Bad) -> Capture:
    """A bad request as it is."""
    return talk.call("POST", CHAT, body=bad.body, headers=[JSON])


@pytest.mark.parametrize("exchange", REFUSALS, indirect=True)
@judged(judges("F1"))
def test_envelope(judge: Judge, exchange: Capture, demand: Demand) -> None:
    """Every refusal is the same envelope."""
    demand(judge, exchange)


@check_each("bad", {Check(f"F2.{name}", "M" if name in MUST else "S"): bad for name, bad in ALL.items()})
def test_bad_request(bad: Bad, talk: Talk, demand: Demand) -> None:
    """A bad request gets a 4xx that is not 422, in the envelope."""
    seen = send(talk, bad)
    for judge in BAD_REQUEST:
        demand(judge, seen)


@check_each("bad", {f"F2.{name}.param": bad for name, bad in WITH_FIELD.items()}, tier="S")
def test_param(bad: Bad, talk: Talk) -> None:
    """A refusal names the field that is wrong."""
    seen = send(talk, bad)
    assert bad.field is not None
    assert str(child(answer(seen), "error").get("param")).startswith(bad.field), seen.text


@pytest.mark.parametrize("name", ["temperature-high", "role-unknown", "not-json"])
@judged(judges("F4"))
def test_refused_before_the_stream(judge: Judge, name: str, talk: Talk, demand: Demand) -> None:
    """A bad request for a stream is refused like any other."""
    bad = ROWS[name]
    if talk.target.profile != "lumen" and send(talk, bad).status == 200:
        pytest.skip("it is not refused at all, which F2 says")
    try:
        asked = json.dumps({**json.loads(bad.body), "stream": True}).encode()
    except ValueError:
        asked = bad.body
    demand(judge, send(talk, Bad(asked)))


@pytest.mark.parametrize("exchange", ["chat", "stream", *ERRORS, "models", "health"], indirect=True)
@judged(judges("F6"))
def test_no_leaks(judge: Judge, exchange: Capture, demand: Demand) -> None:
    """Nothing of the server's inside comes out."""
    demand(judge, exchange)


@check("F7")
def test_healthy_after_bad(talk: Talk) -> None:
    """A healthy request succeeds after each bad one."""
    for name, bad in (ALL if talk.target.profile == "lumen" else ROWS).items():
        send(talk, bad)
        assert talk.answered(talk.ask("안녕"), "안녕"), name


@pytest.mark.parametrize(
    "exchange",
    ["chat", "stream", "usage_stream", "waited", *ERRORS, "models", "model", "health"],
    indirect=True,
)
@judged(judges("F8"))
def test_request_id(judge: Judge, exchange: Capture, demand: Demand) -> None:
    """Every response can be named in a report."""
    demand(judge, exchange)
