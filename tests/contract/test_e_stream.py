"""E: a stream as a state machine, one per choice."""

from dataclasses import replace

import pytest

from tests.contract.talking import Demand, Talk
from tests.fixtures.capture import Capture
from tests.fixtures.judges import e_stream, e_usage
from tests.fixtures.judges.catalogue import judges
from tests.fixtures.judges.checking import judged
from tests.fixtures.judges.verdict import Judge
from tests.fixtures.report.refutation import Refuted

STREAMS = [pytest.param("stream", marks=pytest.mark.smoke), "usage_stream", "waited"]


@pytest.mark.parametrize("exchange", STREAMS, indirect=True)
@judged([judge for judge in (*e_stream.JUDGES, *e_usage.JUDGES) if judge.claim.profile != "openai"])
def test_stream(judge: Judge, exchange: Capture, demand: Demand) -> None:
    """A stream begins, goes on and ends as OpenAI's own does."""
    demand(judge, exchange)


@judged(judges("E9"))
def test_passed_on(judge: Judge, talk: Talk) -> None:
    """A stream of the gateway is passed on as it comes."""
    seen, said_mono_s = talk.overheard
    assert said_mono_s is not None, "the target answered without asking its gateway"
    verdict = judge(seen, replace(talk.known, said_mono_s=said_mono_s))
    if verdict.failure:
        raise Refuted(verdict.failure)


@judged(judges("E8"))
def test_tool_calls(judge: Judge, talk: Talk, demand: Demand) -> None:
    """Tool calls come in pieces that fit together."""
    talk.target.need("tools")
    tool = {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}}
    demand(judge, talk.ask("Call the tool.", stream=True, tools=[tool], tool_choice="required"))
