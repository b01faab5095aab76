"""G15: the options of a request reach a gateway that has the OpenAI API, with their values.

A client that sets an option gets an answer that is made with it, or an error: never an answer that is made without it.
"""

from __future__ import annotations

import pytest

from lumen_conformance.contract.exchanges import STREAMED
from lumen_conformance.contract.expectations import describe
from lumen_conformance.contract.forwarded_options import is_respected, need_respected, option_check, send_option
from lumen_conformance.contract.request_options import (
    FREE_OPTIONS,
    NEEDS,
    OPTIONS,
    Option,
    arrives,
    describe_option,
)
from lumen_conformance.contract.session import ContractSession
from lumen_conformance.http.capture import REFUSAL_TEXT
from lumen_conformance.registry.declaration import Check, Tier, check, check_each
from lumen_conformance.registry.refutation import expect
from lumen_conformance.schemas.descriptions import format_value

pytestmark = [pytest.mark.needs("gateway"), pytest.mark.profile("openai")]

SCHEMA = "openapi.yaml: CreateChatCompletionRequest"
CLAIM_CHARS = 70  # of a value in a claim; a longer one is no part of it
# Without these the answer is paid beyond its limit, or a part of what the model reads is lost.
SERIOUS = {"max_tokens", "max_completion_tokens", "tools", "tool_choice_named", "response_format_schema",
           "response_format_object"}  # fmt: skip
# A gateway may hash or replace these, as with the names of users, or forbid to store: no user notices it in an answer.
UNNOTICED = {"user", "user_empty", "store", "metadata", "prompt_cache_key", "safety_identifier"}
REPORTS = {
    "temperature_zero": (
        "songquanpeng/one-api#904: 0 is taken for absent; the answer is complete, but not the one that 0 selects"
    ),
    "max_tokens": "openapi.yaml: an upper bound for the tokens that are generated, and paid",
    "max_completion_tokens": (
        "abetlen/llama-cpp-python#1907; ikawrakow/ik_llama.cpp#2321: pi waits for 40,000 tokens and discards them"
    ),
    "parallel_tool_calls_false": "Continuum-AI-Corp/OrcaRouter-Lite#124: two tools are called where one was allowed",
    "stop_list": (
        "Blaizzy/mlx-vlm#1044; "
        "langchain-ai/langchain#20704: a ReAct agent cannot parse the text after the stop sequence"
    ),
    "tools": "pydantic-ai 2.31.1 raises UnexpectedModelBehavior without them",
    "tool_choice_named": "langchain-openai 1.7.3 returns None for an object when the model answers in words",
    "response_format_schema": "openai-python 2.54.0 and langchain-openai 1.7.3 raise ValidationError on words",
    "response_format_object": "langchain-openai 1.7.3, json_mode: raises OutputParserException on words",
}


def check_of_option(name: str, option: Option, holds: str) -> Check:
    """The check of an option; ``holds`` is what it claims."""
    tier: Tier = "M" if name in SERIOUS else "W" if name in UNNOTICED else "S"
    value = f": {format_value(option.value)}" if len(format_value(option.value)) <= CLAIM_CHARS else ""
    claim = f"The option {option.name}{value} {holds}"
    return Check(option_check(name), tier, claim=claim, source=REPORTS.get(name, SCHEMA))


def expect_option(proxy: ContractSession, option: Option, *, stream: bool) -> None:
    """An option arrives, is refused, or is applied; not judged where another does not arrive, which it needs."""
    sent = send_option(proxy, option, stream=stream)
    holds = is_respected(proxy, option, stream=stream)
    if not holds:
        need_respected(proxy, sent.capture, *NEEDS.get(option.name, ()), stream=stream)
        wanted = f"{option.name}: {format_value(option.value)}"
        found = f"{describe_option(option, sent.received)}; {describe(sent.capture)}"
        expect(holds, f"{wanted} in the request to the gateway, or {REFUSAL_TEXT}", found)


@STREAMED
@check_each(
    "option",
    {
        check_of_option(name, option, "reaches the gateway, is applied, or is refused"): option
        for name, option in OPTIONS.items()
    },
)
def test_option(stream: bool, option: Option, proxy: ContractSession) -> None:  # noqa: FBT001 -- a row
    """An option ({row}) reaches the gateway with its value, is applied, or is refused."""
    expect_option(proxy, option, stream=stream)


@check("G15-stream-options", tier="S", source="openapi.yaml: stream_options")
def test_stream_options(proxy: ContractSession) -> None:
    """The options of a stream reach the gateway, or the target adds the usage itself."""
    expect_option(proxy, Option("usage", "stream_options"), stream=True)


@STREAMED
@check_each(
    "option",
    {
        check_of_option(name, option, "is forwarded unchanged, or not at all"): option
        for name, option in FREE_OPTIONS.items()
    },
)
def test_free_option(stream: bool, option: Option, proxy: ContractSession) -> None:  # noqa: FBT001 -- a row
    """An option without an effect on the answer, or with its default ({row}), is forwarded unchanged or not at all."""
    sent = send_option(proxy, option, stream=stream)
    kept = sent.received.get(option.name) is None or arrives(option, sent.received)
    expected = f"{option.name}: {format_value(option.value)} in the request to the gateway, or no {option.name}"
    expect(kept, expected, describe_option(option, sent.received))
