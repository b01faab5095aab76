"""G10, G11: what the gateway sends beside the text of an answer reaches the client, plain and as a stream.

The gateway of the suite echoes the question and adds one detail. A target may ask it in either way and make the stream
itself.
"""

import pytest

from lumen_conformance.checks.preconditions import require_requested_stream_usage, require_usage
from lumen_conformance.contract.answer_details import ADDED, COUNTED, DETAILS, Detail
from lumen_conformance.contract.exchanges import STREAMED, USAGE_REQUESTED
from lumen_conformance.contract.expectations import describe, expect_response, need_known_refusal
from lumen_conformance.contract.session import ContractSession
from lumen_conformance.gateway.replies import edited
from lumen_conformance.http.client import Capture
from lumen_conformance.http.documents import error_documents, is_stream
from lumen_conformance.registry.declaration import Check, Tier, check, check_each
from lumen_conformance.registry.refutation import NotJudged, expect
from lumen_conformance.schemas.descriptions import format_value

pytestmark = [pytest.mark.needs("gateway"), pytest.mark.profile("openai")]

ANSWERED = 200
SOURCES: dict[str, tuple[Tier, str]] = {
    "finish-length": (
        "M",
        "BerriAI/litellm#25825 says stop of a cut answer; parse() of openai-python 2.54.0 raises on length",
    ),
    "finish-content-filter": ("M", "openapi.yaml; parse() of openai-python 2.54.0 raises on content_filter"),
    "refusal": ("M", "openapi.yaml: ChatCompletionResponseMessage, refusal; without it the answer is empty"),
    "logprobs": ("S", "openapi.yaml: choices[].logprobs; sgl-project/sglang#26778 lost them in streams"),
    "usage-details": ("S", "openapi.yaml: CompletionUsage; jundot/omlx#919 lost them in plain answers"),
    "annotations": ("S", "openapi.yaml; openai/openai-java#297, a stream of OpenAI; BerriAI/litellm#41492 lost them"),
    "reasoning-content": (
        "W",
        "DeepSeek sends it, vLLM until vllm-project/vllm#33402; @ai-sdk/openai-compatible 3.0.92 shows it",
    ),
    "reasoning": (
        "W",
        "vLLM sends it, @ai-sdk/openai-compatible 3.0.92 shows it; Nayjest/lm-proxy#69 lost it in streams",
    ),
}
FIELDS: dict[str, dict[str, object]] = {"logprobs": {"logprobs": True}}
SENT_AS_ERRORS = {"finish-content-filter", "refusal"}  # by servers that report a filtered answer as an error


def check_of_detail(name: str) -> Check:
    """The check of a detail."""
    tier, source = SOURCES[name]
    value = f" {DETAILS[name].expected('')}" if name.startswith("finish") else ""
    instead = ", or an error" if name in SENT_AS_ERRORS else ""
    claim = f"A client receives the {DETAILS[name].name}{value} that the gateway sends{instead}"
    return Check(f"G10-{name}", tier, claim=claim, source=source)


def ask_edited(
    proxy: ContractSession, text: str, detail: Detail, *, stream: bool, with_usage: bool = False, **fields: object
) -> Capture:
    """Ask while the gateway adds the detail; not judged when the gateway received no request."""
    before = len(proxy.gateway.chats)
    how = USAGE_REQUESTED if stream and with_usage else {"stream": stream}
    with proxy.gateway.replying(edited(detail.change)):
        capture = proxy.ask(text, **{**how, **fields})
    if capture.status == ANSWERED and len(proxy.gateway.chats) == before:
        raise NotJudged(f"the gateway received no request; {describe(capture)}", ("G1-forwarded-lone",))
    return capture


def expect_detail(capture: Capture, detail: Detail, text: str) -> None:
    """The client receives the detail as the gateway sends it."""
    wanted = f"{detail.name}: {format_value(detail.expected(text))}, as the gateway sends it"
    expect_response(capture, capture.status == ANSWERED, wanted)
    found = detail.read(capture)
    received = f"no {detail.name}; {describe(capture)}" if found is None else f"{detail.name}: {format_value(found)}"
    expect(found == detail.expected(text), wanted, received)


def need_usage(capture: Capture) -> None:
    """Raise `NotJudged` when an answer lacks the usage, which another check reports."""
    missing = require_requested_stream_usage(capture) if is_stream(capture) else require_usage(capture)
    if missing and capture.status == ANSWERED:
        raise NotJudged(missing.reason, missing.because_of)


@STREAMED
@check_each("name", {check_of_detail(name): name for name in SOURCES})
def test_detail(stream: bool, name: str, proxy: ContractSession) -> None:  # noqa: FBT001 -- a row
    """What the gateway sends beside the text ({row}) reaches the client."""
    detail, text = DETAILS[name], f"What is {name}, and which client shows it?"
    of_usage = name == "usage-details"
    capture = ask_edited(proxy, text, detail, stream=stream, with_usage=of_usage, **FIELDS.get(name, {}))
    need_known_refusal(capture)
    if name in SENT_AS_ERRORS and (capture.is_refusal or error_documents(capture)):
        return
    if name in FIELDS and capture.is_refusal:
        pytest.skip(f"not applicable: the target refuses {', '.join(FIELDS[name])}: {describe(capture)}")
    if of_usage:
        need_usage(capture)
    expect_detail(capture, detail, text)


@STREAMED
@check("G10-unknown-member", source="OpenRouter adds provider, Groq x_groq, Azure prompt_filter_results")
def test_unknown_member(stream: bool, proxy: ContractSession) -> None:  # noqa: FBT001 -- a row
    """An answer arrives that has a member which OpenAI does not document."""
    text = "Who has served this answer?"
    expect_detail(ask_edited(proxy, text, ADDED, stream=stream), ADDED, text)


@STREAMED
@check("G11-usage", tier="S", source="openapi.yaml: CompletionUsage; BerriAI/litellm#21011 counted streams again")
def test_counts(stream: bool, proxy: ContractSession) -> None:  # noqa: FBT001 -- a row
    """The counts of the usage are those of the gateway, which bills them."""
    text = "How many tokens are these?"
    capture = ask_edited(proxy, text, COUNTED, stream=stream, with_usage=True)
    need_usage(capture)
    expect_detail(capture, COUNTED, text)
