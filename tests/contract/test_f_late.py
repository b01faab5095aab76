"""F5: a stream whose headers are out, and then the gateway fails: the client must be able to tell."""

from collections.abc import Callable, Iterable
from functools import cache

import pytest

from lumen_conformance.checks.catalogue import BROKEN_STREAM, judges
from lumen_conformance.checks.decorators import judged
from lumen_conformance.checks.findings import child
from lumen_conformance.checks.preconditions import REFUSED
from lumen_conformance.checks.verdict import Judge
from lumen_conformance.contract.expectations import describe, expect_equal
from lumen_conformance.contract.prerequisites import need_stream, responsible
from lumen_conformance.contract.session import Demand, Talk
from lumen_conformance.gateway import replies
from lumen_conformance.gateway.exchange import Exchange, Reply
from lumen_conformance.http.capture import WITNESS, Capture
from lumen_conformance.http.documents import errors
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


FRAMING = [judge for judge in BROKEN_STREAM if judge not in judges("F1.1", "F5", "F6")]  # of F1.1, D1.1 asks the same
# Of a gateway that streams itself, after its first words; `applying.py` knows them by their prefix.
FORWARDED: dict[str, Reply] = {
    "forwarded-reset": Exchange.reset,
    "forwarded-cut": Exchange.close,
    "forwarded-error": replies.error_event,
}


@pytest.fixture(scope="module")
def breaking(hasty: Talk) -> Callable[[str], Capture]:
    """A stream that broke after its first byte, by each failure; asked for once, as some wait for a deadline."""

    @cache
    def asked(name: str) -> Capture:
        reply = FAILURES[name][0] if name in FAILURES else FORWARDED[name]
        return hasty.ask_and_wait(reply, hasty.words)

    return lambda name: WITNESS.saw(asked(name))


def begun(seen: Capture, talk: Talk) -> Capture:
    """The same; raises `NotJudged` when the failure came before the first byte, so that the status could tell it.

    A foreign target that asks its gateway plainly, or waits for its end, learns of the failure before its own stream
    begins: its checks are skipped.
    """
    need_stream(talk, choices=False)  # here, too: a fixture of a module comes before those of a test
    if talk.target.profile != "lumen" and (seen.status or 0) >= REFUSED:
        pytest.skip(f"status {seen.status} before the stream: no late failure; checks G3.forwarded-* judge it")
    if seen.status != 200:
        raise NotJudged(
            f"the failure came before the stream began: {describe(seen)}", responsible(talk.target, "waited")
        )
    return seen


@pytest.fixture(scope="module", params=[*FAILURES, *FORWARDED])
def broken(request: pytest.FixtureRequest, breaking: Callable[[str], Capture], hasty: Talk) -> Capture:
    """One of them; nothing is judged where no stream had begun before the gateway failed."""
    return begun(breaking(request.param), hasty)


@judged(judges("F5"))
def test_late_failure(judge: Judge, broken: Capture, demand: Demand) -> None:
    """A late failure is told, and never looks like success."""
    demand(judge, broken)


@check("F5.framed")
def test_late_failure_is_framed(broken: Capture, talk: Talk, demand: Demand) -> None:
    """The stream that breaks is still framed as a stream, and its error, if it has one, is the envelope."""
    has_error = bool(errors(broken))
    demand_more([judge for judge in FRAMING if has_error or judge not in judges("F1")], broken, talk, demand)


@check("F5.shows-nothing")
def test_late_failure_shows_nothing(broken: Capture, talk: Talk, demand: Demand) -> None:
    """A stream that breaks shows no more of the server's inside than one that does not break."""
    demand_more(judges("F6"), broken, talk, demand)


def demand_more(asked: Iterable[Judge], broken: Capture, talk: Talk, demand: Demand) -> None:
    """Demand what holds for a stream that does not fail; what does not hold has a check of its own."""
    if broken.ended == "complete" and not errors(broken):
        raise NotJudged("the stream ends in order, without an error event", ("F5.3",))
    told = {judge for judge in asked if judge(talk.stream, talk.known).failure}
    for judge in asked:
        unjudged = judge(broken, talk.known).unjudged
        if judge not in told and not (unjudged and not unjudged.because_of):  # there is nothing of the kind
            demand(judge, broken)
    if told:
        raise NotJudged("a stream that does not fail has the same fault", tuple(each.claim.check for each in told))


@check_each("name", {f"F5.code-{name}": name for name in FAILURES}, tier="S")
def test_late_code(name: str, breaking: Callable[[str], Capture], hasty: Talk) -> None:
    """A late failure has the code that it would have had before the first byte."""
    told = [child(document.value, "error").get("code") for document in errors(begun(breaking(name), hasty))]
    expect_equal(told, [FAILURES[name][1]], "the codes of the errors in the stream")
