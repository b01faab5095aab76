"""G16: a request to the gateway has nothing of the requests before it: neither their options nor their turns."""

import pytest

from lumen_conformance.contract.conversations import CALL, Messages, assistant, result, user
from lumen_conformance.contract.expectations import describe
from lumen_conformance.contract.forwarded import ForwardedRequest, forward
from lumen_conformance.contract.request_options import tool
from lumen_conformance.contract.session import ContractSession
from lumen_conformance.contract.turns import describe_turns
from lumen_conformance.registry.declaration import Check, check, check_each
from lumen_conformance.registry.refutation import NotJudged, expect
from lumen_conformance.schemas.descriptions import format_value

pytestmark = [pytest.mark.needs("gateway"), pytest.mark.profile("openai")]

# Values that no server has as its defaults.
OPTIONS: dict[str, object] = {
    "temperature": 0.31,
    "top_p": 0.83,
    "presence_penalty": 0.21,
    "frequency_penalty": 0.23,
    "seed": 4711,
    "logit_bias": {"1734": -9},
    "max_tokens": 77,
    "stop": ["%%%%"],
    "user": "another-user",
    "response_format": {"type": "json_object"},
    "tools": [{"type": "function", "function": tool("altitude")}],
}
TIDE, TRAIN = user("when is high tide?"), user("from where does the train leave?")
RESULT, INSTRUCTION = "at noon, the tables of the harbour say", "answer as a guard of platform nine"
# What another client sends before → its text, the question that follows, and the check that fails when it is lost.
BEFORE: dict[Check, tuple[Messages, str, str]] = {
    Check("G16-tool-results", source="exo-explore/exo#1362: a question is answered with the tool results of another"): (
        [TIDE, assistant(None, tool_calls=[CALL]), result(CALL, RESULT)],
        RESULT,
        "G2-forwarded-tools",
    ),
    Check("G16-instructions", source="RFC 9110, 3.3: each request is independent of other requests"): (
        [{"role": "system", "content": INSTRUCTION}, TRAIN],
        INSTRUCTION,
        "G2-forwarded-system",
    ),
}


def need_call(sent: ForwardedRequest, responsible: str) -> None:
    """Raise `NotJudged` when a request does not reach the gateway."""
    if not sent.calls:
        raise NotJudged(f"the gateway receives no request: {describe(sent.capture)}", (responsible,))


@check("G16-options", source="ggml-org/llama.cpp#9477: the logit_bias of one request is applied to later ones")
def test_options_of_another(proxy: ContractSession) -> None:
    """A question without options reaches the gateway without those of the request before it."""
    for name, value in OPTIONS.items():
        forward(proxy, f"before {name}", [user(f"with {name}")], **{name: value})
        sent = forward(proxy, f"after {name}", [user(f"after {name}")])
        need_call(sent, "G1-forwarded-lone")
        found = f"{name}: {format_value(sent.received.get(name))}, as in the request before it"
        expect(sent.received.get(name) != value, f"no {name} in the request to the gateway", found)


@check_each("row", BEFORE)
def test_turns_of_another(row: tuple[Messages, str, str], proxy: ContractSession) -> None:
    """A question that another client has asked with more turns ({row}) reaches the gateway without them."""
    before, text, responsible = row
    need_call(forward(proxy, f"before {responsible}", before), responsible)
    alone = [turn for turn in before if turn["role"] == "user"]
    sent = forward(proxy, f"after {responsible}", alone)
    need_call(sent, "G1-forwarded-lone")
    received = describe_turns(sent.received.get("messages"))
    expect(text not in received, f"the messages {describe_turns(alone)}, and no {text!r}", received)
