"""D: the framing of server-sent events."""

import pytest

from lumen_conformance.checks import d_framing
from lumen_conformance.checks.catalogue import judges
from lumen_conformance.checks.decorators import check_each_judge
from lumen_conformance.checks.verdict import Judge
from lumen_conformance.contract.expectations import AROUND_CHARS, describe
from lumen_conformance.contract.session import AWKWARD_TEXT, ClaimAssertion, ContractSession
from lumen_conformance.http.client import Capture
from lumen_conformance.http.documents import assistant_text, events, is_stream
from lumen_conformance.registry.declaration import check
from lumen_conformance.registry.refutation import NotJudged, expect

FRAMING = [judge for judge in d_framing.JUDGES if judge.claim.check != "D7"]
# Answers with Korean and emoji, whose characters have several bytes, plain and streamed.
MULTIBYTE = ["chat", "stream", "chat-korean", "chat-emoji", "usage_stream-korean", "usage_stream-emoji"]
STREAMS = [pytest.param("stream", marks=pytest.mark.smoke), "usage_stream", "waited", "tool_stream"]


@pytest.mark.parametrize("exchange", STREAMS, indirect=True)
@check_each_judge(FRAMING)
def test_framing(judge: Judge, exchange: Capture, proxy: ContractSession, assert_holds: ClaimAssertion) -> None:
    """Every client can parse the framing of a stream."""
    if judge.claim.check == "D3.4" and proxy.question_text != AWKWARD_TEXT:
        raise NotJudged("the simpler question, which was asked because this one failed, has no markers", ("C1.1",))
    assert_holds(judge, exchange)


@pytest.mark.parametrize("exchange", MULTIBYTE, indirect=True)
@check("D4-any-text", tier="S", source="The Unicode Standard, 23.8: U+FFFD replaces bytes that could not be decoded")
def test_no_replacement_character(exchange: Capture) -> None:
    """No answer contains the replacement character U+FFFD, which replaces bytes that could not be decoded."""
    text = assistant_text(exchange)
    if not text:
        missing = ("C1.1",) if exchange.status != 200 else ("E10",) if is_stream(exchange) else ("C4.2", "C4.5")
        raise NotJudged(f"there is no text: {describe(exchange)}", missing)
    place = text.find("\ufffd")
    around = text[max(0, place - AROUND_CHARS) : place + AROUND_CHARS]
    expect(place < 0, "a text without U+FFFD", f"U+FFFD at character {place}: {around!r}")


@check("D5-waits", tier="S", source="docs/behaviour.md: LUMEN_SSE_KEEPALIVE_S")
def test_a_waiting_stream_says_so(fast_deadline_proxy: ContractSession) -> None:
    """A stream that waits for its gateway sends comments."""
    capture = fast_deadline_proxy.waited
    commented = any(line.comment for event in events(capture) for line in event.lines)
    expect(commented, "a comment: a line that begins with a colon", f"no comment; {describe(capture)}")


@pytest.mark.parametrize(
    "exchange", ["chat", "stream", "refusal", "lost", "gateway_error", "models", "health"], indirect=True
)
@check_each_judge(judges("D7"))
def test_one_framing(judge: Judge, exchange: Capture, assert_holds: ClaimAssertion) -> None:
    """No response has two lengths."""
    assert_holds(judge, exchange)
