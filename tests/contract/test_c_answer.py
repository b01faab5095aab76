"""C: one chat completion, not streamed."""

from collections.abc import Callable

import pytest

from lumen_conformance.checks import c_answer
from lumen_conformance.checks.catalogue import COMPARISONS, judges
from lumen_conformance.checks.decorators import compared, judged
from lumen_conformance.checks.verdict import Comparison, Judge
from lumen_conformance.contract.exchanges import COUNTED
from lumen_conformance.contract.expectations import describe
from lumen_conformance.contract.prerequisites import CHAT_CHECK, need_chat, need_response
from lumen_conformance.contract.session import MODEL, PLAINER, Demand, Talk, question
from lumen_conformance.http.client import Capture

Compare = Callable[[Comparison, list[Capture]], None]
IDS = 20  # contract C8
SEVERAL = judges("C3.2", "C3.3")
CONTENT = judges("C4.2", "C4.5")
APART = (*SEVERAL, *CONTENT, *judges("C1.1", "C5.2"))


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "stream"])
@judged(judges("C1.1"), pytest.mark.smoke)
def test_answered(judge: Judge, streamed: bool, talk: Talk, demand: Demand) -> None:  # noqa: FBT001 -- a row
    """A question of awkward characters is answered; when it is not, the other checks ask a plainer one."""
    seen = talk.awkward_stream if streamed else talk.awkward
    plainer = ""
    if seen.status != 200:
        other = describe(talk.plainer_stream if streamed else talk.plainer)
        plainer = f"the question has emoji, U+2028, U+0085 and [DONE]; to the plainer question {PLAINER!r}: {other}"
    demand(judge, seen, about=plainer)


@judged([judge for judge in c_answer.JUDGES if judge not in APART], pytest.mark.smoke)
def test_answer(judge: Judge, talk: Talk, demand: Demand) -> None:
    """A plain answer is what OpenAI's own would be."""
    need_response(talk.chat, (CHAT_CHECK,))
    demand(judge, talk.chat)


@pytest.mark.parametrize("called", [False, True], ids=["text", "tool"])
@judged(CONTENT, pytest.mark.smoke)
def test_content(judge: Judge, called: bool, talk: Talk, demand: Demand) -> None:  # noqa: FBT001 -- a row
    """A message has its content, with a text as with the call of a tool."""
    if called:
        talk.target.require("tools")
    seen = talk.call_tool(stream=False) if called else talk.chat
    need_response(seen, (CHAT_CHECK,))
    demand(judge, seen)


@pytest.mark.parametrize("exchange", ["chat", *(f"chat-{name}" for name in COUNTED)], indirect=True)
@judged(judges("C5.2"))
def test_counts_add_up(judge: Judge, exchange: Capture, demand: Demand) -> None:
    """The counts of tokens add up, for texts of every length modulo 4."""
    demand(judge, exchange)


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "stream"])
@judged(SEVERAL)
def test_several_choices(judge: Judge, streamed: bool, talk: Talk, demand: Demand) -> None:  # noqa: FBT001 -- a row
    """Two choices are given, or refused by whoever does not declare them."""
    seen = talk.ask(talk.words, n=2, stream=streamed)
    if seen.status is None:
        need_chat(talk, choices=False)
    demand(judge, seen)


@compared([COMPARISONS["C7"]])
def test_stream_off(comparison: Comparison, talk: Talk, compare: Compare) -> None:
    """Absent and false are the same; of null, which no client is known to send, H4.null-stream speaks."""
    compare(comparison, [talk.chat, talk.ask(talk.words, stream=False)])


@pytest.fixture(scope="module")
def twenty(talk: Talk) -> list[Capture]:
    """Twenty answers to the same question; of our own proxy, which answers to any name, of two models in turn."""
    two = talk.target.profile == "lumen" and not talk.target.url  # by URL only the one that was named is called
    models = [MODEL, "gpt-4o-mini" if two else MODEL]
    return [talk.post({**question(talk.words), "model": models[number % 2]}) for number in range(IDS)]


@compared([COMPARISONS[name] for name in ("C8.1", "C8.2", "C8.3")])
def test_identity(comparison: Comparison, twenty: list[Capture], compare: Compare) -> None:
    """Answers can be told apart, and models keep their names."""
    compare(comparison, twenty)
