"""E: a stream as a state machine, one per choice."""

import pytest

from lumen_conformance.checks import e_stream, e_usage
from lumen_conformance.checks.catalogue import judges
from lumen_conformance.checks.decorators import judged
from lumen_conformance.checks.verdict import Judge
from lumen_conformance.contract.exchanges import COUNTED
from lumen_conformance.contract.expectations import describe
from lumen_conformance.contract.session import ANOTHER, Demand, Talk
from lumen_conformance.http.client import Capture
from lumen_conformance.http.documents import finish_of, said
from lumen_conformance.registry.declaration import check
from lumen_conformance.registry.refutation import NotJudged, expect

APART = judges("E5.9", "E9")
STREAMS = [pytest.param("stream", marks=pytest.mark.smoke), "usage_stream", "waited"]


@pytest.mark.parametrize("exchange", STREAMS, indirect=True)
@judged([judge for judge in e_stream.JUDGES if judge not in APART])
def test_stream(judge: Judge, exchange: Capture, demand: Demand) -> None:
    """A stream begins, goes on and ends as OpenAI's own does."""
    demand(judge, exchange)


@pytest.mark.parametrize("exchange", ["usage_stream"], indirect=True)
@judged([judge for judge in e_usage.ASKED if judge not in APART])
def test_usage(judge: Judge, exchange: Capture, demand: Demand) -> None:
    """A stream has usage as OpenAI's own does, where it was asked for."""
    demand(judge, exchange)


@pytest.mark.parametrize("exchange", ["stream", "waited"], indirect=True)
@judged(e_usage.UNASKED)
def test_no_usage(judge: Judge, exchange: Capture, demand: Demand) -> None:
    """A stream has no usage where it was not asked for."""
    demand(judge, exchange)


@pytest.mark.parametrize("exchange", ["usage_stream", *(f"usage_stream-{name}" for name in COUNTED)], indirect=True)
@judged(judges("E5.9"))
def test_streamed_counts_add_up(judge: Judge, exchange: Capture, demand: Demand) -> None:
    """The counts of tokens of a stream add up, for texts of every length modulo 4."""
    demand(judge, exchange)


@judged(judges("E9"))
def test_passed_on(judge: Judge, talk: Talk, demand: Demand) -> None:
    """A stream of the gateway is passed on as it comes."""
    seen, said_mono_s = talk.overheard
    asked = said_mono_s is not None
    expect(asked, "the gateway is asked", f"the target answered without asking its gateway; {describe(seen)}")
    demand(judge, seen, said_mono_s=said_mono_s)


@check("E10")
def test_stream_has_text(talk: Talk) -> None:
    """A stream has a text where the plain answer to the same question has one."""
    plain, stream = talk.chat, talk.stream
    if stream.ended != "complete" or finish_of(stream) is None:
        raise NotJudged(f"the stream does not end in order: {describe(stream)}", ("E3.3",))
    if not said(stream):  # a model may once say nothing: by URL, another question decides
        plain, stream = (plain, stream) if "gateway" in talk.target.can else both(talk, ANOTHER)
    if not said(plain):
        raise NotJudged("the plain answer has no text", ("C4.2", "C4.5", "H3.usable"))
    expect(bool(said(stream)), f"a text, as the plain answer has: {said(plain)[:60]!r}", f"{describe(stream)}, no text")


def both(talk: Talk, text: str) -> tuple[Capture, Capture]:
    """The answers to a question, plain and as a stream."""
    return talk.ask(text), talk.ask(text, stream=True)


@judged(judges("E8"))
def test_tool_calls(judge: Judge, talk: Talk, demand: Demand) -> None:
    """Tool calls come in pieces that fit together."""
    talk.target.require("tools")
    demand(judge, talk.call_tool(stream=True))
