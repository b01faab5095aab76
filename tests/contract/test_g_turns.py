"""G1, G2 for a target whose gateway has the OpenAI API: each message of a conversation is forwarded; H4 for any target.

H4 asks for no more than an answer or a clear error. G1 and G2 read the same requests at the gateway.
"""

from __future__ import annotations

import pytest

from lumen_conformance.checks.catalogue import JUDGES
from lumen_conformance.checks.findings import child_object
from lumen_conformance.contract.conversations import CONVERSATIONS, UNUSUAL_CONVERSATIONS
from lumen_conformance.contract.exchanges import STREAMED, get_exchange
from lumen_conformance.contract.expectations import describe, expect_one_call, expect_response, need_known_refusal
from lumen_conformance.contract.forwarded import ForwardedRequest, forward
from lumen_conformance.contract.session import ContractSession
from lumen_conformance.contract.turns import added_instructions, describe_lost, describe_turns, same_turns
from lumen_conformance.gateway import openai_requests
from lumen_conformance.http.capture import LAST_CAPTURE, REFUSAL_TEXT, Capture
from lumen_conformance.http.documents import answer_json, choices
from lumen_conformance.registry.declaration import Check, check, check_each
from lumen_conformance.registry.refutation import NotJudged, expect
from lumen_conformance.schemas.descriptions import format_value

FORWARDED = (pytest.mark.needs("gateway"), pytest.mark.profile("openai"))
SCHEMA = "openapi.yaml: CreateChatCompletionRequest"
HANDLED = f"status 200 and a choice, or {REFUSAL_TEXT} with an error message"
ALL = CONVERSATIONS | UNUSUAL_CONVERSATIONS
# The reports of each conversation; those without one have the schema as their source.
REPORTS = {
    "systems": "mlc-ai/mlc-llm#2311: SillyTavern sends several instructions; a refusal with its reason is allowed",
    "late-system": "BerriAI/litellm#34290: a correction after the result of a tool is dropped in silence",
    "two-users": "inferencerlabs/inferencer-feedback#122: VS Code Copilot sends several questions in a row",
    "assistant-parts": "CommandCodeAI/command-code#820: QwenPaw 2.2.0 sends parts of the assistant; they are lost",
    "assistant-empty": (
        "vllm-project/vllm#21089: OpenAI answers it; openai/codex#22602: an interrupted turn is sent again each time"
    ),
    "call-without-content": "sigoden/aichat#1326 omits the content; cubist38/mlx-openai-server#205 drops such a call",
    "result-parts": "BerriAI/litellm#25993: openai-go sends each result as parts, and the result is lost",
    "image": "maiphucgiang/codebuddy2api#25: the picture is dropped, and the status is 200",
}
SENT_BY_CLIENTS = {"systems", "two-users", "assistant-parts", "call-without-content", "result-parts"}
OTHER_REFUSALS = ("lost", "unparsable", "refusal")  # of which F1.2 judges the form, too


def row(area: str, name: str) -> Check:
    """The check of one conversation.

    The loss of a message is M, that of a speaker's name S. A failure of the server is M where a client is known to send
    such a conversation.
    """
    is_serious = {"G2-forwarded": name != "names", "H4-turns": name in SENT_BY_CLIENTS}.get(area, True)
    return Check(f"{area}-{name}", "M" if is_serious else "S", source=REPORTS.get(name, SCHEMA))


def send(proxy: ContractSession, name: str, *, stream: bool) -> ForwardedRequest:
    """Send a conversation; not judged when the target does not forward it, and fails H4 for it."""
    plain = forward(proxy, f"turns {name}", ALL[name], stream=False).capture
    sent = forward(proxy, f"turns {name}", ALL[name], stream=stream)
    answered = plain.status == 200 or is_handled(plain)  # H4 asks for more
    if name in UNUSUAL_CONVERSATIONS and not (sent.calls or sent.is_refused or answered):
        raise NotJudged(f"the conversation is not answered: {describe(plain)}", (f"H4-turns-{name}",))
    return sent


def is_handled(capture: Capture) -> bool:
    """Whether a response is an answer with a choice, or a refusal that says what is not supported."""
    refused = capture.is_refusal and bool(child_object(answer_json(capture), "error").get("message"))
    return (capture.status == 200 and bool(choices(capture))) or refused


@STREAMED
@check_each("name", {row("G1-forwarded", name): name for name in ALL}, marks=FORWARDED)
def test_one_question(stream: bool, name: str, proxy: ContractSession) -> None:  # noqa: FBT001 -- a row
    """One request ({row}) makes exactly one request to the gateway, and it fits OpenAI's schema."""
    sent = send(proxy, name, stream=stream)
    if sent.is_refused and name in UNUSUAL_CONVERSATIONS:
        return
    if not sent.calls and sent.capture.is_error:
        raise NotJudged(f"the conversation is refused: {describe(sent.capture)}", (f"G2-forwarded-{name}",))
    expect_one_call(sent.calls, sent.capture)
    refused = openai_requests.refusal(sent.calls[0])
    expect(refused is None, "a request to the gateway that fits OpenAI's schema", format_value(refused))


@STREAMED
@check_each("name", {row("G2-forwarded", name): name for name in ALL}, marks=FORWARDED)
def test_every_word(stream: bool, name: str, proxy: ContractSession) -> None:  # noqa: FBT001 -- a row
    """The gateway receives all messages of a conversation ({row}) in their order, and no others but instructions."""
    sent = send(proxy, name, stream=stream)
    if sent.is_refused and name in UNUSUAL_CONVERSATIONS:
        return
    expect(bool(sent.calls), "a request to the gateway", f"none; {describe(sent.capture)}")
    found = sent.received.get("messages")
    received = f"{describe_turns(found)}{describe_lost(found, ALL[name])}"
    expect(same_turns(found, ALL[name]), f"the messages {describe_turns(ALL[name])}", received)


@STREAMED
@pytest.mark.parametrize("name", ["lone", "system"])
@check(
    "G2-added-instructions",
    tier="W",
    marks=FORWARDED,
    source="Kong AI Prompt Decorator and Apache APISIX ai-prompt-decorator add them where they are configured to",
)
def test_added_instructions(name: str, stream: bool, proxy: ContractSession) -> None:  # noqa: FBT001 -- a row
    """The gateway receives no instructions beside those of the request."""
    sent = send(proxy, name, stream=stream)
    found = sent.received.get("messages")
    if not same_turns(found, ALL[name]):
        raise NotJudged(f"the messages do not arrive: {describe_turns(found)}", (f"G2-forwarded-{name}",))
    added = added_instructions(found, ALL[name])
    expect(not added, "no instructions but those of the request", added)


@check_each("name", {row("H4-turns", name): name for name in UNUSUAL_CONVERSATIONS})
def test_conversation(name: str, proxy: ContractSession) -> None:
    """A conversation that OpenAI accepts ({row}) gets an answer, or a refusal with an error message."""
    capture = forward(proxy, f"turns {name}", ALL[name], stream=False).capture
    need_known_refusal(capture)
    if capture.is_refusal and JUDGES["F1.2"](capture).failed:
        other = (get_exchange(proxy, name) for name in OTHER_REFUSALS)
        if any(JUDGES["F1.2"](each).failed for each in other):
            raise NotJudged(f"errors have another form: {describe(capture)}", ("F1.2",))
    LAST_CAPTURE.record(capture)
    expect_response(capture, is_handled(capture), HANDLED)
