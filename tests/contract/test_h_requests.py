"""H4: the requests of client libraries, unusual requests that OpenAI accepts, and the health."""

from collections.abc import Iterable
from typing import Any

import pytest

from lumen_conformance.checks.findings import child_object
from lumen_conformance.contract.expectations import (
    describe,
    describe_header,
    expect_answer,
    expect_response,
    expect_schema,
    expect_status,
)
from lumen_conformance.contract.forwarded_options import need_respected
from lumen_conformance.contract.lenient_requests import LENIENT_REQUESTS
from lumen_conformance.contract.session import AWKWARD_TEXT, ContractSession, question
from lumen_conformance.http.capture import REFUSAL_TEXT, Capture
from lumen_conformance.http.documents import answer_json, assistant_text, finish_of, media_type
from lumen_conformance.registry.declaration import Check, check, check_each
from lumen_conformance.registry.refutation import NotJudged, expect, shorten

NULLS = ("temperature", "top_p", "n", "stop", "stream", "stream_options", "max_tokens", "max_completion_tokens",
         "presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "top_logprobs", "seed", "metadata",
         "store", "service_tier", "reasoning_effort", "modalities", "prediction", "audio")  # fmt: skip
# OpenAI refuses null for these.
NEVER_NULL = ("user", "response_format", "tools", "tool_choice", "functions", "parallel_tool_calls")


def rows_of_nulls(names: Iterable[str]) -> dict[str, dict[str, object]]:
    """A row for each field with the value null."""
    return {f"H4-null-{name.replace('_', '-')}": {name: None} for name in names}


# In these requests `AWKWARD_TEXT` is a placeholder for the question of the shared exchanges.
TURNS = [{"role": "developer", "content": "be brief"}, {"role": "user", "content": AWKWARD_TEXT}]
# How clients send a plain question, instructions and a limit; docs/breaks.md names the clients.
SENT_BY_CLIENTS: dict[str, dict[str, object]] = {
    "H4-content-parts": {"messages": [{"role": "user", "content": [{"type": "text", "text": AWKWARD_TEXT}]}]},
    "H4-developer": {"messages": TURNS},
    "H4-langchain": {"stream": False},
    "H4-limits-zero": {"temperature": 0},
    "H4-max-completion-tokens": {"max_completion_tokens": 100},
    "H4-max-tokens": {"max_tokens": 100},
}
# Requests that no client sends by default: a program has to set these fields.
ACCEPTED: dict[str, dict[str, object]] = {
    **rows_of_nulls(NULLS),
    "H4-unknown-field": {"thinking": {"type": "enabled", "budget_tokens": 1}, "top_k": 40},
    "H4-unknown-message-field": {
        "messages": [{"role": "user", "content": AWKWARD_TEXT, "name": "kim", "cache": {"ttl": 1}}]
    },
    "H4-limits-low": {"temperature": 0, "top_p": 0, "presence_penalty": -2, "frequency_penalty": -2, "n": 1},
    "H4-limits-high": {"temperature": 2, "top_p": 1, "presence_penalty": 2, "frequency_penalty": 2},
    "H4-stop-string": {"stop": "####"},
    "H4-stop-four": {"stop": ["####", "----", "====", "++++"]},
    "H4-response-format-text": {"response_format": {"type": "text"}},
    "H4-no-tools": {"tools": [], "functions": []},
    "H4-tools-unused": {"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "none"},
    "H4-assistant-content-null": {
        "messages": [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": None, "refusal": None, "tool_calls": None, "audio": None},
            {"role": "user", "content": AWKWARD_TEXT},
        ]
    },
    "H4-no-model": {"model": None},
}


@check_each("fields", SENT_BY_CLIENTS, source="docs/breaks.md: the clients that send it; openapi.yaml")
def test_sent_by_clients(fields: dict[str, object], proxy: ContractSession) -> None:
    """Requests that clients send ({row}) are accepted, unless the code of the error is unsupported_parameter or
    unsupported_value.
    """
    expect_accepted(proxy, fields)


@check_each("fields", ACCEPTED, tier="S", source="openapi.yaml: CreateChatCompletionRequest")
def test_accepted(fields: dict[str, object], proxy: ContractSession) -> None:
    """Requests that OpenAI accepts ({row}) are accepted, unless the code of the error is unsupported_parameter or
    unsupported_value.
    """
    expect_accepted(proxy, fields)


@check_each(
    "fields",
    rows_of_nulls(NEVER_NULL),
    tier="S",
    marks=(pytest.mark.profile("lumen"),),
    source="docs/behaviour.md; OpenAI refuses them (run-llama/llama_index#20814, fixie-ai/ai-jsx#169)",
)
def test_null_accepted(fields: dict[str, object], proxy: ContractSession) -> None:
    """A field that is null ({row}) is accepted as if it were absent, also where OpenAI refuses it."""
    expect_accepted(proxy, fields)


# OpenAI's reasoning models refuse `max_tokens`, and temperatures other than 1, with these codes
# (griptape-ai/ComfyUI-Griptape#312, tailcallhq/forgecode#1177).
UNSUPPORTED_CODES = ("unsupported_parameter", "unsupported_value")


def expect_accepted(proxy: ContractSession, fields: dict[str, object]) -> None:
    """A question with these fields is answered, with its text if the gateway of the suite echoes it."""
    capture = proxy.post(replace_text({**question(), **fields}, proxy.question_text))
    codes = UNSUPPORTED_CODES if proxy.target.profile == "openai" else ()
    if child_object(answer_json(capture), "error").get("code") in codes:
        return
    expect_response(capture, capture.status == 200, " or ".join(["status 200", *map("the code {}".format, codes)]))
    if "gateway" in proxy.target.can:
        repeated = proxy.question_text in assistant_text(capture)
        expect(repeated, f"a text that contains the question {shorten(proxy.question_text)}", describe(capture))


def replace_text(value: Any, text: str) -> Any:  # noqa: ANN401 -- any JSON
    """Replace `AWKWARD_TEXT` in a JSON value."""
    if isinstance(value, dict):
        return {key: replace_text(each, text) for key, each in value.items()}
    if isinstance(value, list):
        return [replace_text(each, text) for each in value]
    return text if value == AWKWARD_TEXT else value


NOT_SENT = {"functions", "half-an-emoji", "no-limit"}  # no client is known to send these


@check_each(
    "fields",
    {
        Check(f"H4-lenient-{name}", "S" if name in NOT_SENT else "M"): fields
        for name, fields in LENIENT_REQUESTS.items()
    },
    source="docs/behaviour.md; OpenAI or LM Studio accept it",
)
def test_leniently_accepted(fields: dict[str, object], proxy: ContractSession) -> None:
    """Requests that other servers accept, or whose unusual fields have no effect ({row}), are accepted."""
    expect_accepted(proxy, fields)


@check("H4-stream-with-sdk-headers", source="openai-python _base_client.py: Accept: application/json for streams, too")
def test_accept_is_not_negotiated(proxy: ContractSession) -> None:
    """A request for a stream with Accept: application/json, as the OpenAI libraries send it, gets a stream."""
    headers = [("Accept", "application/json"), ("X-Stainless-Retry-Count", "0"), ("User-Agent", "OpenAI/Python")]
    capture: Capture = proxy.post(question("안녕", stream=True), headers=headers)
    is_stream = media_type(capture) == "text/event-stream"
    expect(is_stream, "media type text/event-stream", describe_header(capture, "Content-Type"))
    expect_answer(proxy, capture, "안녕")


FORTY_WORDS = " ".join(["one two three four five six seven eight nine ten"] * 4)
LIMIT_TOKENS = 5  # each word is one token at least; a token of the scripted gateway is shorter than five words
UNLIMITED = {"max_tokens": "H4-max-tokens", "max_completion_tokens": "H4-max-completion-tokens"}


@check_each(
    "name",
    {f"H4-limit-{name.replace('_', '-')}": name for name in UNLIMITED},
    tier="S",
    marks=(pytest.mark.profile("openai"),),
    source="openapi.yaml: max_completion_tokens; abetlen/llama-cpp-python#1907 and ggml-org/llama.cpp#13700 ignore it",
)
def test_limit(name: str, proxy: ContractSession) -> None:
    """A limit of tokens ({row}) limits the answer, or is refused."""
    text = f"Repeat these words: {FORTY_WORDS}"
    capture = proxy.ask(text, **{name: LIMIT_TOKENS})
    if is_refused(capture, UNLIMITED[name]):
        return
    count, finish = len(assistant_text(capture).split()), finish_of(capture)
    is_cut = "gateway" in proxy.target.can and assistant_text(capture) != text
    limited = count <= LIMIT_TOKENS or finish == "length" or is_cut
    if not limited:
        need_respected(proxy, capture, name)
    expect(limited, f"at most {LIMIT_TOKENS} words, or finish_reason length", f"{count} words, finish_reason {finish}")


@check(
    "H4-stop-ends", tier="S", marks=(pytest.mark.profile("openai"),), source="openapi.yaml: stop; Blaizzy/mlx-vlm#1044"
)
def test_stop(proxy: ContractSession) -> None:
    """A text ends before the stop sequence of its request, and not earlier, unless the request is refused."""
    question_text = "Count from one to nine in digits, like this: 1 2 3 4 5 6 7 8 9"
    capture = proxy.ask(question_text, stop=["5"])
    if is_refused(capture, "H4-stop-four"):
        return
    text = assistant_text(capture)
    if "5" in text:
        need_respected(proxy, capture, "stop_list", "stop_string")
    expect("5" not in text, "a text that ends before the stop sequence '5'", f"the text {shorten(text)}")
    echoed = "gateway" in proxy.target.can  # a model chooses its words
    before = question_text.partition("5")[0].strip() if echoed else ""
    whole = before in text if before else bool(text.strip())
    wanted = f"the text {shorten(before)}" if before else "a text"
    expect(whole, f"{wanted} before the stop sequence '5'", f"the text {shorten(text)}")


def is_refused(capture: Capture, responsible: str) -> bool:
    """Whether a request is refused. Not judged when it is neither refused nor answered, which another check reports."""
    if not capture.is_refusal and capture.status != 200:
        raise NotJudged(f"neither an answer nor {REFUSAL_TEXT}: {describe(capture)}", (responsible,))
    return capture.is_refusal


@check("H4-health", tier="S", marks=(pytest.mark.smoke,), source="docs/behaviour.md: /health")
def test_health(proxy: ContractSession) -> None:
    """The health matches its schema."""
    expect_status(proxy.health, 200)
    expect_schema(proxy.health, "proxy-health", "a body that matches the schema of the health")
