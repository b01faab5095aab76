"""C: one chat completion, not streamed."""

from collections.abc import Callable

import pytest

from tests.contract.talking import MODEL, WORDS, Demand, Talk, question
from tests.fixtures.capture import Capture
from tests.fixtures.judges import c_answer
from tests.fixtures.judges.catalogue import COMPARISONS, judges
from tests.fixtures.judges.checking import compared, judged
from tests.fixtures.judges.verdict import Comparison, Judge

Compare = Callable[[Comparison, list[Capture]], None]
IDS = 20  # contract C8
SEVERAL = judges("C3.2", "C3.3")


@judged([judge for judge in c_answer.JUDGES if judge not in SEVERAL], pytest.mark.smoke)
def test_answer(judge: Judge, talk: Talk, demand: Demand) -> None:
    """A plain answer is what OpenAI's own would be."""
    demand(judge, talk.chat)


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "stream"])
@judged(SEVERAL)
def test_several_choices(judge: Judge, streamed: bool, talk: Talk, demand: Demand) -> None:  # noqa: FBT001 -- a row
    """Two choices are given, or refused by whoever does not declare them."""
    demand(judge, talk.ask(n=2, stream=streamed))


@compared([COMPARISONS["C7"]])
def test_stream_off(comparison: Comparison, talk: Talk, compare: Compare) -> None:
    """Absent, null and false are the same."""
    compare(comparison, [talk.chat, talk.ask(stream=None), talk.ask(stream=False)])


@pytest.fixture(scope="module")
def twenty(talk: Talk) -> list[Capture]:
    """Twenty answers to the same question; of our own proxy, which answers to any name, of two models in turn."""
    two = talk.target.profile == "lumen" and not talk.target.url  # by URL only the one that was named is called
    models = [MODEL, "gpt-4o-mini" if two else MODEL]
    return [talk.post({**question(WORDS), "model": models[number % 2]}) for number in range(IDS)]


@compared([COMPARISONS[name] for name in ("C8.1", "C8.2", "C8.3")])
def test_identity(comparison: Comparison, twenty: list[Capture], compare: Compare) -> None:
    """Answers can be told apart, and models keep their names."""
    compare(comparison, twenty)
