"""F1, F2, F4, F6, F8: bad requests, and the form of all errors."""

import json
import re

import pytest

from lumen_conformance.checks.catalogue import judges
from lumen_conformance.checks.decorators import check_each_judge
from lumen_conformance.checks.findings import child_object
from lumen_conformance.checks.verdict import Judge
from lumen_conformance.contract import exchanges
from lumen_conformance.contract.bad_requests import BAD_REQUESTS, UNSUPPORTED_REQUESTS, BadRequest
from lumen_conformance.contract.exchanges import JSON
from lumen_conformance.contract.expectations import describe, expect_client_error, expect_no_failure
from lumen_conformance.contract.prerequisites import need_answers, need_refusal
from lumen_conformance.contract.session import ClaimAssertion, ContractSession
from lumen_conformance.http.client import Capture
from lumen_conformance.http.documents import answer_json
from lumen_conformance.registry.declaration import check, check_each
from lumen_conformance.registry.refutation import NotJudged, expect, shorten
from lumen_conformance.targets.endpoint import CHAT

SMOKE = pytest.param("refusal", marks=pytest.mark.smoke)
REFUSALS = [SMOKE, *exchanges.REFUSALS[1:]]
ALL = {**BAD_REQUESTS, **UNSUPPORTED_REQUESTS}
WITH_FIELD = {name: bad for name, bad in ALL.items() if bad.field}
SCHEMA = "openapi.yaml: CreateChatCompletionRequest; RFC 9110, 15.5"
RETRIES = "openai-python _base_client.py: 5xx and lost connections are retried; docs/breaks.md"
UNPROCESSABLE = 422


def send(proxy: ContractSession, bad: BadRequest) -> Capture:
    """Send a bad request."""
    return proxy.call("POST", CHAT, body=bad.body, headers=[JSON])


def bad_request_response(proxy: ContractSession, name: str) -> Capture:
    """The response to a bad request, which is sent once for all checks."""
    return proxy.once(f"bad request {name}", lambda: send(proxy, ALL[name]))


@pytest.mark.parametrize("exchange", [SMOKE, *exchanges.CLIENT_REFUSALS[1:]], indirect=True)
@check_each_judge(judges("F1"))
def test_envelope(judge: Judge, refusal: Capture, assert_holds: ClaimAssertion) -> None:
    """Every error has the same form."""
    assert_holds(judge, refusal)


@check_each("name", {f"F2-{name}": name for name in ALL}, tier="S", source=SCHEMA)
def test_bad_request(name: str, proxy: ContractSession) -> None:
    """A bad request ({row}) gets a status from 400 to 499."""
    expect_client_error(bad_request_response(proxy, name))


@check_each("name", {f"F2-{name}-never-fails": name for name in ALL}, source=RETRIES)
def test_bad_request_is_no_failure(name: str, proxy: ContractSession) -> None:
    """A bad request ({row}) gets no 5xx and no lost connection, which clients retry, and no error with status 200."""
    capture = bad_request_response(proxy, name)
    need_answers(proxy, capture)
    expect_no_failure(capture)


@pytest.mark.parametrize("exchange", ["refusal", "refused_stream", "unparsable", "wrong_type"], indirect=True)
@check("F2-not-422", tier="S", source="openai-python _client.py: 422 raises UnprocessableEntityError")
def test_not_unprocessable(refusal: Capture) -> None:
    """A bad request gets a status other than 422, for which the OpenAI libraries raise another error."""
    expect(refusal.status != UNPROCESSABLE, "a status from 400 to 499, but not 422", describe(refusal))


@check_each("name", {f"F2-{name}-param": name for name in WITH_FIELD}, tier="S", source="openapi.yaml:38249: param")
def test_param(name: str, proxy: ContractSession) -> None:
    """The error for a bad request ({row}) names the field that is wrong; of a foreign server, its key is enough."""
    field, capture = str(ALL[name].field), bad_request_response(proxy, name)
    need_refusal(capture, (f"F2-{name}",))
    error = child_object(answer_json(capture), "error")
    if not error:
        raise NotJudged("the error is not an object under the key error", ("F1.2",))
    found = error.get("param")
    key = re.split(r"[.\[]", field)[0]
    named = isinstance(found, str) and (found.startswith(field) or (proxy.target.profile == "openai" and found == key))
    expect(named, f"an error whose param begins with {field!r}", f"param: {shorten(found)}; {describe(capture)}")


@pytest.mark.parametrize("name", ["messages-empty", "role-unknown", "temperature-high"])
@check_each_judge(judges("F4"))
def test_refused_before_the_stream(
    judge: Judge, name: str, proxy: ContractSession, assert_holds: ClaimAssertion
) -> None:
    """A bad request for a stream gets the same error as one for a plain answer."""
    need_refusal(bad_request_response(proxy, name), (f"F2-{name}",))
    asked = {**json.loads(BAD_REQUESTS[name].body), "stream": True}
    assert_holds(judge, send(proxy, BadRequest(json.dumps(asked).encode())))


@pytest.mark.parametrize("exchange", ["chat", "stream", *REFUSALS, "models", "health"], indirect=True)
@check_each_judge(judges("F6"))
def test_no_leaks(judge: Judge, exchange: Capture, assert_holds: ClaimAssertion) -> None:
    """No response contains internals of the server."""
    assert_holds(judge, exchange)


@pytest.mark.parametrize(
    "exchange",
    ["chat", "stream", "usage_stream", "waited", *REFUSALS, "models", "model", "health"],
    indirect=True,
)
@check_each_judge(judges("F8"))
def test_request_id(judge: Judge, exchange: Capture, assert_holds: ClaimAssertion) -> None:
    """Every response has a request id."""
    assert_holds(judge, exchange)
