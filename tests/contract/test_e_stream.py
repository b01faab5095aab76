"""E: the chunks of a stream."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from lumen_conformance.checks import e_stream, e_usage
from lumen_conformance.checks.catalogue import COMPARISONS, JUDGES, judges
from lumen_conformance.checks.decorators import check_each_comparison, check_each_judge
from lumen_conformance.checks.verdict import Comparison, Judge
from lumen_conformance.contract.exchanges import TOKEN_COUNT_TEXTS, get_exchange
from lumen_conformance.contract.expectations import describe
from lumen_conformance.contract.forwarded_options import need_tools
from lumen_conformance.contract.prerequisites import params_of
from lumen_conformance.contract.session import SECOND_QUESTION, ClaimAssertion, ContractSession
from lumen_conformance.contract.tool_requests import WEATHER
from lumen_conformance.http.client import Capture
from lumen_conformance.http.documents import assistant_text, finish_of, is_stream
from lumen_conformance.registry.declaration import check
from lumen_conformance.registry.refutation import NotJudged, expect

ComparisonAssertion = Callable[[Comparison, list[Capture]], None]
APART = judges("E5.9", "E9")
STREAMS = [pytest.param("stream", marks=pytest.mark.smoke), "usage_stream", "waited", "tool_stream"]


@pytest.mark.parametrize("exchange", STREAMS, indirect=True)
@check_each_judge([judge for judge in e_stream.JUDGES if judge not in APART])
def test_stream(judge: Judge, exchange: Capture, assert_holds: ClaimAssertion) -> None:
    """The chunks of a stream have the form of OpenAI's chunks."""
    assert_holds(judge, exchange)


@pytest.mark.parametrize("exchange", ["usage_stream", "tool_usage_stream"], indirect=True)
@check_each_judge([judge for judge in e_usage.REQUESTED if judge not in APART])
def test_usage(judge: Judge, exchange: Capture, assert_holds: ClaimAssertion) -> None:
    """A stream has usage in the form of OpenAI's usage when the request asks for it."""
    assert_holds(judge, exchange)


@pytest.mark.parametrize("exchange", ["stream", "waited"], indirect=True)
@check_each_judge(e_usage.NOT_REQUESTED)
def test_no_usage(judge: Judge, exchange: Capture, assert_holds: ClaimAssertion) -> None:
    """A stream has no usage when the request does not ask for it."""
    assert_holds(judge, exchange)


@pytest.mark.parametrize(
    "exchange",
    ["usage_stream", "tool_usage_stream", *(f"usage_stream-{name}" for name in TOKEN_COUNT_TEXTS)],
    indirect=True,
)
@check_each_judge(judges("E5.9"))
def test_streamed_counts_add_up(judge: Judge, exchange: Capture, assert_holds: ClaimAssertion) -> None:
    """The token counts of a stream add up, for texts of every length modulo 4."""
    assert_holds(judge, exchange)


@pytest.mark.parametrize(
    "exchange", ["usage_stream", *(f"usage_stream-{name}" for name in TOKEN_COUNT_TEXTS)], indirect=True
)
@check_each_comparison([COMPARISONS["E11.1"], COMPARISONS["E11.2"]])
def test_equal_counts(
    comparison: Comparison, exchange: Capture, request: pytest.FixtureRequest, assert_comparison: ComparisonAssertion
) -> None:
    """The counts of a stream are those of a plain answer."""
    proxy: ContractSession = request.getfixturevalue("proxy")
    if proxy.target.profile == "openai" and "gateway" in proxy.target.can:
        pytest.skip("not applicable: G11-usage compares the counts with those of the gateway")
    plain = get_exchange(proxy, str(params_of(request.node)["exchange"]).replace("usage_stream", "chat"))
    assert_comparison(comparison, [plain, exchange])


@check_each_judge(judges("E9"))
def test_passed_on(judge: Judge, proxy: ContractSession, assert_holds: ClaimAssertion) -> None:
    """A stream of the gateway is forwarded without buffering."""
    capture, said_mono_s = proxy.slow_stream
    asked = said_mono_s is not None
    expect(asked, "a request to the gateway", f"none; {describe(capture)}")
    assert_holds(judge, capture, said_mono_s=said_mono_s)


@check(
    "E9-tools",
    tier="S",
    marks=(pytest.mark.needs("gateway"), pytest.mark.needs("tools"), pytest.mark.profile("openai")),
    source="ollama/ollama#9632: with tools a stream came when it was complete",
)
def test_passed_on_with_tools(proxy: ContractSession, assert_holds: ClaimAssertion) -> None:
    """A stream of the gateway is forwarded without buffering, too, when the request offers tools."""
    capture, said_mono_s = proxy.ask_slow_gateway(tools=[WEATHER])
    if said_mono_s is None or not is_stream(capture):
        raise NotJudged(f"no stream of the gateway: {describe(capture)}", ("H4-tools-unused", "E9"))
    alone, alone_mono_s = proxy.slow_stream
    if JUDGES["E9"](alone, replace(proxy.judge_context, said_mono_s=alone_mono_s)).failure:
        raise NotJudged("a stream is buffered also without tools", ("E9",))
    assert_holds(JUDGES["E9"], capture, said_mono_s=said_mono_s)


@check("E10", source="openapi.yaml:33665: choices[].delta.content; clients show an empty answer")
def test_stream_has_text(proxy: ContractSession) -> None:
    """A stream has a text if the plain answer to the same question has one."""
    plain, stream = proxy.chat, proxy.stream
    if stream.ended != "complete" or finish_of(stream) is None:
        raise NotJudged(f"the stream is not complete: {describe(stream)}", ("E3.3",))
    if not assistant_text(stream):  # a model may give no text once: by URL, a second question decides
        plain, stream = (plain, stream) if "gateway" in proxy.target.can else ask_both(proxy, SECOND_QUESTION)
    if not assistant_text(plain):
        raise NotJudged("the plain answer has no text", ("C4.2", "C4.5", "H3-usable"))
    expect(
        bool(assistant_text(stream)),
        f"a text, as the plain answer has: {assistant_text(plain)[:60]!r}",
        f"{describe(stream)}, no text",
    )


def ask_both(proxy: ContractSession, text: str) -> tuple[Capture, Capture]:
    """Ask a question, plain and as a stream."""
    return proxy.ask(text), proxy.ask(text, stream=True)


@pytest.mark.parametrize("exchange", ["tool_stream", "tool_usage_stream", "called_two_stream"], indirect=True)
@check_each_judge(judges("E8"))
def test_tool_calls(judge: Judge, exchange: Capture, proxy: ContractSession, assert_holds: ClaimAssertion) -> None:
    """The parts of tool calls in a stream can be joined."""
    if judge.claim.check == "E8.4" and judge(exchange).failure:
        need_tools(proxy, exchange)
    assert_holds(judge, exchange)
