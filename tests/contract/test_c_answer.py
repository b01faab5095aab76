"""C: chat completions that are not streamed."""

from collections.abc import Callable

import pytest

from lumen_conformance.checks import c_tools
from lumen_conformance.checks.catalogue import ANSWER_JUDGES, COMPARISONS, judges
from lumen_conformance.checks.decorators import check_each_comparison, check_each_judge
from lumen_conformance.checks.tool_calls import tool_calls
from lumen_conformance.checks.verdict import Comparison, Judge
from lumen_conformance.contract.exchanges import TOKEN_COUNT_TEXTS, get_exchange
from lumen_conformance.contract.expectations import describe
from lumen_conformance.contract.forwarded_options import need_tools
from lumen_conformance.contract.session import MODEL, PLAIN_TEXT, ClaimAssertion, ContractSession, question
from lumen_conformance.http.client import Capture
from lumen_conformance.registry.refutation import NotJudged

ComparisonAssertion = Callable[[Comparison, list[Capture]], None]
IDS = 20  # answers whose ids are compared
SEVERAL = judges("C3.2", "C3.3")
APART = (*SEVERAL, *judges("C1.1", "C5.2"))
TOOL_CALLS = ["tool_call", "named_tool_call", "called_two"]
REQUIRED = ("C9.1", "C9.7")  # the tool call that the request requires comes
ANSWERS = [pytest.param("chat", id="text"), pytest.param("tool_call", id="tool")]


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "stream"])
@check_each_judge(judges("C1.1"), pytest.mark.smoke)
def test_answered(judge: Judge, streamed: bool, proxy: ContractSession, assert_holds: ClaimAssertion) -> None:  # noqa: FBT001 -- a row
    """A question with unusual characters gets an answer; if it does not, the other checks ask a simpler question."""
    capture = proxy.awkward_stream if streamed else proxy.awkward
    plainer = ""
    if capture.status != 200:
        other = describe(proxy.plainer_stream if streamed else proxy.plainer)
        plainer = f"the question has emoji, U+2028, U+0085 and [DONE]; to the simpler question {PLAIN_TEXT!r}: {other}"
    assert_holds(judge, capture, about=plainer)


@pytest.mark.parametrize("exchange", ANSWERS, indirect=True)
@check_each_judge([judge for judge in ANSWER_JUDGES if judge not in APART], pytest.mark.smoke)
def test_answer(judge: Judge, exchange: Capture, assert_holds: ClaimAssertion) -> None:
    """A plain answer has the form of OpenAI's answers, with a text and with a tool call."""
    assert_holds(judge, exchange)


@pytest.mark.parametrize("exchange", TOOL_CALLS, indirect=True)
@check_each_judge(c_tools.JUDGES)
def test_tool_call(judge: Judge, exchange: Capture, proxy: ContractSession, assert_holds: ClaimAssertion) -> None:
    """A tool call of a plain answer can be run."""
    if judge.claim.check == "C9.7" and not tool_calls(exchange) and not tool_calls(get_exchange(proxy, "tool_call")):
        raise NotJudged("no tool is called where the request requires one", ("C9.1",))
    if judge.claim.check in REQUIRED and judge(exchange).failure:
        need_tools(proxy, exchange)
    assert_holds(judge, exchange)


@pytest.mark.parametrize("exchange", ["chat", *(f"chat-{name}" for name in TOKEN_COUNT_TEXTS)], indirect=True)
@check_each_judge(judges("C5.2"))
def test_counts_add_up(judge: Judge, exchange: Capture, assert_holds: ClaimAssertion) -> None:
    """The token counts add up, for texts of every length modulo 4."""
    assert_holds(judge, exchange)


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "stream"])
@check_each_judge(SEVERAL)
def test_several_choices(judge: Judge, streamed: bool, proxy: ContractSession, assert_holds: ClaimAssertion) -> None:  # noqa: FBT001 -- a row
    """Two choices are returned, or refused by a target that does not declare n."""
    capture = proxy.ask(proxy.question_text, n=2, stream=streamed)
    assert_holds(judge, capture)


@check_each_comparison([COMPARISONS["C7"]])
def test_stream_off(comparison: Comparison, proxy: ContractSession, assert_comparison: ComparisonAssertion) -> None:
    """An absent stream and stream: false mean the same; check H4-null-stream tests null, which clients do not send."""
    assert_comparison(comparison, [proxy.chat, proxy.post(question(proxy.question_text) | {"stream": False})])


@pytest.fixture(scope="module")
def twenty_answers(proxy: ContractSession) -> list[Capture]:
    """Twenty answers to the same question; our own proxy, which accepts any model, is asked for two models in turn."""
    two = proxy.target.profile == "lumen" and not proxy.target.url  # by URL only the named model is called
    models = [MODEL, "gpt-4o-mini" if two else MODEL]
    return [proxy.post({**question(proxy.question_text), "model": models[number % 2]}) for number in range(IDS)]


@check_each_comparison([COMPARISONS[name] for name in ("C8.1", "C8.2", "C8.3")])
def test_identity(
    comparison: Comparison, twenty_answers: list[Capture], assert_comparison: ComparisonAssertion
) -> None:
    """Answers have different ids, and the model of an answer is constant."""
    assert_comparison(comparison, twenty_answers)
