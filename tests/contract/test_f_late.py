"""F5: the gateway fails after the headers of a stream were sent; the client must notice the failure."""

from collections.abc import Callable, Iterable

import pytest

from lumen_conformance.checks.catalogue import BROKEN_STREAM, judges
from lumen_conformance.checks.decorators import check_each_judge
from lumen_conformance.checks.findings import child_object
from lumen_conformance.checks.verdict import Judge
from lumen_conformance.contract.expectations import describe, expect_equal
from lumen_conformance.contract.forwarded_failures import LATE, late_failure_exchange
from lumen_conformance.contract.prerequisites import need_stream, responsible_checks
from lumen_conformance.contract.session import ClaimAssertion, ContractSession
from lumen_conformance.gateway import replies
from lumen_conformance.gateway.exchange import Exchange, Reply
from lumen_conformance.http.capture import Capture
from lumen_conformance.http.documents import error_documents
from lumen_conformance.registry.declaration import check, check_each
from lumen_conformance.registry.refutation import NotJudged

FAILURES: dict[str, tuple[Reply, str]] = {
    "silent": (replies.silent, "gateway_timeout"),
    "reset": (replies.reset_after_request, "gateway_connection_lost"),
    "reset-mid-body": (replies.reset_mid_body, "gateway_connection_lost"),
    "status-500": (replies.respond_with({}, 500), "gateway_error"),
    "status-429": (replies.respond_with({}, 429), "rate_limit_exceeded"),
    "html": (replies.html, "gateway_invalid_response"),
    "declined": (replies.answer_with("", success=False, error="quota"), "gateway_declined"),
    "empty": (replies.answer_with(""), "gateway_empty_response"),
}


FRAMING = [judge for judge in BROKEN_STREAM if judge not in judges("F1.1", "F5", "F6")]  # D1.1 tests the same as F1.1
# Failures of a gateway that streams, after its first content; `applicability` uses the prefix of the names.
FORWARDED: dict[str, Reply] = {
    "forwarded-reset": Exchange.reset,
    "forwarded-cut": Exchange.close,
    LATE: replies.error_event,
}


@pytest.fixture(scope="module")
def fail_stream(fast_deadline_proxy: ContractSession) -> Callable[[str], Capture]:
    """A function that returns the stream for a failure; each is made once, because some wait for a deadline."""

    def asked(name: str) -> Capture:
        return late_failure_exchange(
            fast_deadline_proxy, name, FAILURES[name][0] if name in FAILURES else FORWARDED[name]
        )

    return asked


def require_late_failure(capture: Capture, proxy: ContractSession) -> Capture:
    """Raise `NotJudged` when the failure came before the first byte; skip when the target may report it by its status.

    Another target may ask its gateway for a plain answer, or buffer the stream: it notices the failure before its own
    stream starts.
    """
    need_stream(proxy, choices=False)  # repeated here: fixtures of a module are set up before those of a test
    if proxy.target.profile != "lumen" and capture.is_error:
        pytest.skip(f"status {capture.status} before the stream: no late failure; checks G3-forwarded-* test it")
    if capture.status != 200:
        raise NotJudged(
            f"the failure came before the stream started: {describe(capture)}",
            responsible_checks(proxy.target, "waited"),
        )
    return capture


@pytest.fixture(scope="module", params=[*FAILURES, *FORWARDED])
def late_failure(
    request: pytest.FixtureRequest, fail_stream: Callable[[str], Capture], fast_deadline_proxy: ContractSession
) -> Capture:
    """A stream that fails after its start."""
    return require_late_failure(fail_stream(request.param), fast_deadline_proxy)


@check_each_judge(judges("F5"))
def test_late_failure(judge: Judge, late_failure: Capture, assert_holds: ClaimAssertion) -> None:
    """A late failure is reported, and does not look like a complete answer."""
    assert_holds(judge, late_failure)


@check("F5-framed", source="WHATWG HTML, 9.2.6; RFC 8259")
def test_late_failure_is_framed(late_failure: Capture, proxy: ContractSession, assert_holds: ClaimAssertion) -> None:
    """A stream that fails has valid framing, and its error event, if any, has the form of all errors."""
    has_error = bool(error_documents(late_failure))
    assert_more(
        [judge for judge in FRAMING if has_error or judge not in judges("F1")], late_failure, proxy, assert_holds
    )


@check("F5-shows-nothing", source="CWE-209; ray-project/ray#64832, BerriAI/litellm#39757")
def test_late_failure_shows_nothing(
    late_failure: Capture, proxy: ContractSession, assert_holds: ClaimAssertion
) -> None:
    """A stream that fails contains no internals of the server that a successful stream does not contain."""
    assert_more(judges("F6"), late_failure, proxy, assert_holds)


def assert_more(
    claims: Iterable[Judge], late_failure: Capture, proxy: ContractSession, assert_holds: ClaimAssertion
) -> None:
    """Assert the claims that hold for a stream that does not fail; other checks report the others."""
    if late_failure.ended == "complete" and not error_documents(late_failure):
        raise NotJudged("the stream ends normally without an error event", ("F5.3",))
    found = {judge for judge in claims if judge(proxy.stream, proxy.judge_context).failure}
    for judge in claims:
        unjudged = judge(late_failure, proxy.judge_context).unjudged
        if judge not in found and not (unjudged and not unjudged.because_of):  # the claim does not apply
            assert_holds(judge, late_failure)
    if found:
        raise NotJudged("a stream that does not fail has the same defect", tuple(each.claim.check for each in found))


@check_each("name", {f"F5-code-{name}": name for name in FAILURES}, tier="S", source="docs/behaviour.md")
def test_late_code(name: str, fail_stream: Callable[[str], Capture], fast_deadline_proxy: ContractSession) -> None:
    """A late failure ({row}) has the same code as the same failure before the first byte."""
    found = [
        child_object(document.value, "error").get("code")
        for document in error_documents(require_late_failure(fail_stream(name), fast_deadline_proxy))
    ]
    expect_equal(found, [FAILURES[name][1]], "the codes of the errors in the stream")
