"""G3, G8 for a target whose gateway has the OpenAI API: errors are forwarded.

The gateway fails for every request in the same way, because a proxy may retry.
"""

import pytest

from lumen_conformance.contract.exchanges import STREAMED, ask_failing_gateway, ask_stopped_gateway
from lumen_conformance.contract.expectations import (
    describe,
    describe_header,
    expect_answer,
    expect_failure,
    expect_status,
)
from lumen_conformance.contract.forwarded_failures import FAILURES, SERVER, failed_exchange, is_error_in_stream
from lumen_conformance.contract.session import ContractSession
from lumen_conformance.gateway import openai_requests, replies
from lumen_conformance.gateway.replies import respond_with
from lumen_conformance.registry.declaration import check, check_each
from lumen_conformance.registry.refutation import NotJudged, expect

pytestmark = [pytest.mark.needs("gateway"), pytest.mark.profile("openai")]

ERRORS = "RFC 9110, 15.6: a gateway reports failures of its upstream; openapi.yaml: ErrorResponse"


@STREAMED
@check_each("name", {f"G3-forwarded-{name}": name for name in FAILURES}, source=ERRORS)
def test_failure(stream: bool, name: str, proxy: ContractSession) -> None:  # noqa: FBT001 -- a row
    """A failure of the gateway ({row}) gives an error, not an answer."""
    capture = failed_exchange(proxy, name, stream=stream)
    if not (stream and is_error_in_stream(capture)):
        expect_failure(capture)


@check_each("name", {f"G3-forwarded-{name}-status": name for name in FAILURES}, tier="S", source=ERRORS)
def test_status_of_a_failure(name: str, proxy: ContractSession) -> None:
    """A failure of the gateway before a stream ({row}) gives an error status."""
    capture = failed_exchange(proxy, name, stream=True)
    if capture.status == 200 and not is_error_in_stream(capture):
        raise NotJudged(f"the failure does not give an error: {describe(capture)}", (f"G3-forwarded-{name}",))
    expect_failure(capture)


@check("G3-forwarded-truncated", source="RFC 9112, 8: an incomplete response is an error")
def test_truncated(proxy: ContractSession) -> None:
    """An incomplete answer of the gateway gives an error; F5 tests incomplete streams."""
    expect_failure(ask_failing_gateway(proxy, replies.truncated))


@STREAMED
@check("G3-forwarded-error-with-200", tier="S", source=ERRORS)  # S: a proxy that forwards bytes forwards this, too
def test_error_with_200(stream: bool, proxy: ContractSession) -> None:  # noqa: FBT001 -- a row
    """An error of the gateway with status 200 gives an error status."""
    expect_failure(
        ask_failing_gateway(proxy, respond_with(openai_requests.error("scripted failure", SERVER)), stream=stream)
    )


@check("G8-forwarded-retry-after", tier="S", source="RFC 9110, 10.2.3; RFC 6585, 4")
def test_retry_after(proxy: ContractSession) -> None:
    """A 429 of the gateway gives a 429 with the header Retry-After."""
    capture = failed_exchange(proxy, "status-429", stream=False)
    expect_status(capture, 429)
    retry_after = capture.header("retry-after") or ""
    expect(retry_after.isdigit(), "the header Retry-After with whole seconds", describe_header(capture, "Retry-After"))


@check("G3-forwarded-refused", source="RFC 9110, 15.6.3")
def test_healthy_again(proxy: ContractSession) -> None:
    """A gateway that does not listen gives an error; when it listens again, requests succeed without a restart."""
    expect_failure(ask_stopped_gateway(proxy))
    expect_answer(proxy, proxy.ask("다시"), "다시", at="after the gateway listens again")
