"""G9 for a target whose gateway has the OpenAI API: tool calls of the gateway arrive, plain and streamed.

Claims about the form of a call are C9 and E8; here it has the content that the gateway sent. A target may write JSON in
another way, cut a stream elsewhere, and give ids of its own.
"""

from __future__ import annotations

import json

import pytest

from lumen_conformance.checks import c_tools, e_tools
from lumen_conformance.checks.tool_calls import CompleteCall, complete_calls
from lumen_conformance.contract.exchanges import STREAMED, get_exchange
from lumen_conformance.contract.expectations import AROUND_CHARS, describe, expect_equal, first_difference
from lumen_conformance.contract.session import ContractSession
from lumen_conformance.contract.tool_requests import SCRIPTED_CALLS
from lumen_conformance.http.documents import assistant_text, finish_of
from lumen_conformance.registry.declaration import check, check_each
from lumen_conformance.registry.refutation import NotJudged, expect, shorten

pytestmark = [pytest.mark.needs("gateway"), pytest.mark.needs("tools"), pytest.mark.profile("openai")]

LONG_CHARS = 80  # of a text before a difference that is shown whole
CALLS = "openapi.yaml: ChatCompletionMessageToolCall; a client runs the function with the arguments that it receives"


@STREAMED
@check_each("name", {f"G9-forwarded-{name}": name for name in SCRIPTED_CALLS}, source=CALLS)
def test_forwarded_calls(stream: bool, name: str, proxy: ContractSession) -> None:  # noqa: FBT001 -- a row
    """The client receives the tool calls of the gateway ({row}) with their names and arguments, and the text."""
    need_valid_calls(proxy, name, stream=stream)
    capture = get_exchange(proxy, f"called_{name}_stream" if stream else f"called_{name}")
    calls, text = SCRIPTED_CALLS[name]
    sent = [CompleteCall(call["function"]["name"], call["function"]["arguments"]) for call in calls]
    found = complete_calls(capture)
    expect(bool(found), f"the calls {_describe(sent)}", f"none; {describe(capture)}")
    expect(_describe(found) == _describe(sent), *_difference(_describe(sent), _describe(found)))
    if text:
        expect_equal(assistant_text(capture), text, "the text beside the calls")


@STREAMED
@pytest.mark.parametrize("name", ["empty", "text"])
@check("G9-finish", source="anomalyco/opencode#20719: its loop ends on stop; Blaizzy/mlx-vlm#990; openapi.yaml")
def test_forwarded_finish(name: str, stream: bool, proxy: ContractSession) -> None:  # noqa: FBT001 -- a row
    """The client receives the finish_reason tool_calls of the gateway with its tool calls."""
    need_valid_calls(proxy, name, stream=stream)
    capture = get_exchange(proxy, f"called_{name}_stream" if stream else f"called_{name}")
    if not complete_calls(capture):
        raise NotJudged(f"no tool call: {describe(capture)}", (f"G9-forwarded-{name}",))
    found = finish_of(capture)
    if found is None:
        raise NotJudged("no finish_reason", ("E3.3" if stream else "C4.4",))
    expect(found == "tool_calls", "the finish_reason of the gateway, 'tool_calls'", shorten(found))


def need_valid_calls(proxy: ContractSession, name: str, *, stream: bool) -> None:
    """Raise `NotJudged` when a simpler tool call has a wrong form, or this one, if C9 and E8 judge its form."""
    judges, suffix = (e_tools.JUDGES, "_stream") if stream else (c_tools.JUDGES, "")
    judged = ["tool_stream" if stream else "tool_call", *[f"called_two{suffix}"] * (name == "two")]
    verdicts = [judge(get_exchange(proxy, exchange)) for exchange in judged for judge in judges]
    wrong = {verdict.check: None for verdict in verdicts if verdict.failed and verdict.tier == "M"}
    wrong |= {check: None for verdict in verdicts if verdict.unjudged for check in verdict.unjudged.because_of}
    if wrong:
        raise NotJudged("the form of a tool call is wrong", tuple(wrong))


def _describe(calls: list[CompleteCall]) -> str:
    """Describe calls in the order of their names and arguments; arguments that are no JSON as they are.

    Clients read empty arguments as an empty object, which OpenAI sends of functions without parameters
    (openai/openai-python#3502).
    """
    return ", ".join(sorted(f"{call.name}({_normal(call.arguments)})" for call in calls)) or "none"


def _difference(sent: str, found: str) -> tuple[str, str]:
    """What was expected and found: the characters around the first difference, if the texts are long."""
    at = first_difference(sent, found)
    around = slice(max(0, at - AROUND_CHARS) if at > LONG_CHARS else 0, at + LONG_CHARS)
    expected, there = (
        f"{'…' * (around.start > 0)}{text[around]}{'…' * (len(text) > at + LONG_CHARS)}" for text in (sent, found)
    )
    return f"the calls {expected}", f"the calls {there}"


def _normal(arguments: str) -> str:
    try:
        text = json.dumps(json.loads(arguments or "{}"), ensure_ascii=False, sort_keys=True)
    except ValueError:
        return repr(arguments)
    return text.encode("utf-8", "backslashreplace").decode()  # half of a character cannot be written
