"""C: chat completions that are not streamed."""

from collections.abc import Callable

import pytest

from lumen_conformance.checks.catalogue import ANSWER_JUDGES, COMPARISONS, judges
from lumen_conformance.checks.decorators import check_each_comparison, check_each_judge
from lumen_conformance.checks.verdict import Comparison, Judge
from lumen_conformance.contract.exchanges import TOKEN_COUNT_TEXTS
from lumen_conformance.contract.expectations import describe
from lumen_conformance.contract.prerequisites import CHAT_CHECK, need_chat, need_response
from lumen_conformance.contract.session import MODEL, PLAIN_TEXT, ClaimAssertion, ContractSession, question
from lumen_conformance.http.client import Capture

ComparisonAssertion = Callable[[Comparison, list[Capture]], None]
IDS = 20  # answers whose ids are compared
SEVERAL = judges("C3.2", "C3.3")
CONTENT = judges("C4.2", "C4.5")
APART = (*SEVERAL, *CONTENT, *judges("C1.1", "C5.2"))


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


@check_each_judge([judge for judge in ANSWER_JUDGES if judge not in APART], pytest.mark.smoke)
def test_answer(judge: Judge, proxy: ContractSession, assert_holds: ClaimAssertion) -> None:
    """A plain answer has the form of OpenAI's answers."""
    need_response(proxy.chat, (CHAT_CHECK,))
    assert_holds(judge, proxy.chat)


@pytest.mark.parametrize("called", [False, True], ids=["text", "tool"])
@check_each_judge(CONTENT, pytest.mark.smoke)
def test_content(judge: Judge, called: bool, proxy: ContractSession, assert_holds: ClaimAssertion) -> None:  # noqa: FBT001 -- a row
    """A message has its content, with a text and with a tool call."""
    if called:
        proxy.target.require("tools")
    capture = proxy.call_tool(stream=False) if called else proxy.chat
    need_response(capture, (CHAT_CHECK,))
    assert_holds(judge, capture)


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
    if capture.status is None:
        need_chat(proxy, choices=False)
    assert_holds(judge, capture)


@check_each_comparison([COMPARISONS["C7"]])
def test_stream_off(comparison: Comparison, proxy: ContractSession, assert_comparison: ComparisonAssertion) -> None:
    """An absent stream and stream: false mean the same; check H4-null-stream tests null, which clients do not send."""
    assert_comparison(comparison, [proxy.chat, proxy.ask(proxy.question_text, stream=False)])


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
