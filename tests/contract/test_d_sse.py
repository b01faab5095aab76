"""D: server-sent events, as bytes."""

import pytest

from lumen_conformance.checks import d_framing
from lumen_conformance.checks.catalogue import judges
from lumen_conformance.checks.decorators import judged
from lumen_conformance.checks.verdict import Judge
from lumen_conformance.contract.expectations import AROUND_CHARS, describe
from lumen_conformance.contract.session import WORDS, Demand, Talk
from lumen_conformance.http.client import Capture
from lumen_conformance.http.documents import events, is_stream, said
from lumen_conformance.registry.declaration import check
from lumen_conformance.registry.refutation import NotJudged, expect

FRAMING = [judge for judge in d_framing.JUDGES if judge.claim.check != "D7"]
# Syllables and emoji, which take several bytes, plain and streamed.
SPOKEN = ["chat", "stream", "chat-korean", "chat-emoji", "usage_stream-korean", "usage_stream-emoji"]
STREAMS = [pytest.param("stream", marks=pytest.mark.smoke), "usage_stream", "waited"]


@pytest.mark.parametrize("exchange", STREAMS, indirect=True)
@judged(FRAMING)
def test_framing(judge: Judge, exchange: Capture, talk: Talk, demand: Demand) -> None:
    """A stream is framed so that every client can read it."""
    if judge.claim.check == "D3.4" and talk.words != WORDS:
        raise NotJudged("the plainer question, which was asked as this one had failed, has no such words", ("C1.1",))
    demand(judge, exchange)


@pytest.mark.parametrize("exchange", SPOKEN, indirect=True)
@check("D4.any-text", tier="S")
def test_no_replacement_character(exchange: Capture) -> None:
    """No answer has the replacement character U+FFFD, which stands for bytes that were lost on the way."""
    text = said(exchange)
    if not text:
        missing = ("C1.1",) if exchange.status != 200 else ("E10",) if is_stream(exchange) else ("C4.2", "C4.5")
        raise NotJudged(f"there is no text: {describe(exchange)}", missing)
    place = text.find("\ufffd")
    around = text[max(0, place - AROUND_CHARS) : place + AROUND_CHARS]
    expect(place < 0, "a text without U+FFFD", f"U+FFFD at character {place}: {around!r}")


@check("D5.waits", tier="S")
def test_a_waiting_stream_says_so(hasty: Talk) -> None:
    """A stream that waits for its gateway sends comments, so that the claims about comments mean something."""
    seen = hasty.waited
    commented = any(line.comment for event in events(seen) for line in event.lines)
    expect(commented, "a comment, a line that begins with a colon", f"no comment; {describe(seen)}")


@pytest.mark.parametrize(
    "exchange", ["chat", "stream", "refusal", "lost", "gateway_error", "models", "health"], indirect=True
)
@judged(judges("D7"))
def test_one_framing(judge: Judge, exchange: Capture, demand: Demand) -> None:
    """Every response has one length."""
    demand(judge, exchange)
