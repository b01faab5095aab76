"""The defects of public reports: the forwarding reference with one defect each. reports.json has what they are."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPResponse
from itertools import count
from typing import Final

import mixed_clients
import stream_defects
import stream_ends
import tool_pieces
from edits import (
    HEAD,
    JSON,
    REFUSED_HERE,
    SSE,
    TEXT,
    Json,
    body_of,
    both,
    in_answers,
    in_chunks,
    in_errors,
    in_events,
    own_error,
    refuse,
)

from lumen_conformance.http.client import TIMEOUT_S
from tests.fixtures.faults.edits import in_chats, in_responses, in_streams
from tests.fixtures.faults.forwarders import with_body
from tests.fixtures.faults.kept_state import OneModel, keep_option, keep_turns, read_to_the_end
from tests.fixtures.faults.reference import forwarder
from tests.fixtures.faults.reference.gateway import ClientLeft
from tests.fixtures.faults.reference.http import Refused, Request, Response, as_json
from tests.fixtures.faults.reference.steps import Steps


def answer_half_at_once() -> Steps:
    """While another chat waits, every second one is answered without text."""
    waiting, lock, number = [0], threading.Lock(), count()

    def forward(connection: HTTPConnection, request: Request) -> HTTPResponse:
        with lock:
            waiting[0] += 1
            crowded = waiting[0] > 1
        try:
            if crowded and next(number) % 2 == 0:
                request.headers.append(("x-defect-ignored", "yes"))
            return forwarder.forward(connection, request)
        finally:
            with lock:
                waiting[0] -= 1

    def edit(request: Request, sent: Response) -> None:
        if request.header("x-defect-ignored"):
            emptied.response(request, sent)

    def empty(answer: Json) -> None:
        answer["choices"][0]["message"]["content"] = None

    emptied = in_answers(empty)
    return Steps(forward=forward, response=in_chats(edit).response)


def is_chat(body: Json) -> bool:
    """A list of messages."""
    messages = body.get("messages")
    return isinstance(messages, list) and bool(messages) and all(isinstance(one, dict) for one in messages)


def wants_many(body: Json) -> bool:
    """More than one choice."""
    return isinstance(body.get("n"), int) and body["n"] > 1


def impatient_plain_answers() -> Steps:
    """A plain answer may take a third of the time that the contract lets an answer take."""

    def forward(connection: HTTPConnection, request: Request) -> HTTPResponse:
        if request.method != "POST" or body_of(request).get("stream") is True:
            return forwarder.forward(connection, request)
        connection.timeout = TIMEOUT_S / 3
        try:
            return forwarder.forward(connection, request)
        except Refused as refused:
            raise Refused(500, REFUSED_HERE, "") from refused

    return Steps(forward=forward, response=own_error(b"proxy error: Failed to read connection", TEXT).response)


def error_in_stream(request: Request, sent: Response, error: Json) -> None:
    """A bad request that asks for a stream is a stream with status 200."""
    if sent.status == 400 and body_of(request).get("stream") is True:
        sent.status, sent.body = 200, b"data: " + as_json({"error": error}) + b"\n\n"
        sent.set("Content-Type", SSE)


def forget_schema(body: Json) -> None:
    """A JSON Schema is dropped."""
    if body.get("response_format", {}).get("type") == "json_schema":
        del body["response_format"]


def wants_json_object(body: Json) -> bool:
    """The old way to ask for JSON."""
    asked = body.get("response_format")
    return isinstance(asked, dict) and asked.get("type") == "json_object"


def without_id_and_time(answer: Json) -> None:
    """No id and no created."""
    del answer["id"], answer["created"]


def flat_error(_: Request, sent: Response, error: Json) -> None:
    """The error is a text, its type stands beside it."""
    sent.body = as_json({"error": error.get("message"), "error_type": error.get("type")})


def error_as_event_stream(request: Request, sent: Response, _: Json) -> None:
    """An error of the gateway has the media type of a stream where a stream was asked for."""
    if body_of(request).get("stream") is True:
        sent.set("Content-Type", SSE)


def unfilled_template(answer: Json) -> None:
    """The name of the model is the text of the configuration; no id and no time."""
    without_id_and_time(answer)
    answer["model"] = "$(uri_captures.model)"


def failure_as_finish(request: Request, sent: Response, _: Json) -> None:
    """A failure is an empty answer with a finish reason of its own."""
    if sent.status < 500 or "/chat/completions" not in request.path:
        return
    ended: Json = {"index": 0, "finish_reason": "error"}
    if body_of(request).get("stream") is True:
        chunk = HEAD | {"object": "chat.completion.chunk", "choices": [ended | {"delta": {}}]}
        sent.body = b"data: " + as_json(chunk) + b"\n\ndata: [DONE]\n\n"
        sent.set("Content-Type", SSE)
    else:
        message = {"role": "assistant", "content": ""}
        sent.body = as_json(HEAD | {"object": "chat.completion", "choices": [ended | {"message": message}]})
    sent.status = 200


def has_markup(body: Json) -> bool:
    """A turn of the assistant has the markup of the model."""
    messages = body.get("messages")
    return isinstance(messages, list) and any(
        isinstance(one, dict) and "<|channel|>" in str(one.get("content")) for one in messages
    )


def empty_text(answer: Json) -> None:
    """An answer without text."""
    for choice in answer["choices"]:
        choice["message"]["content"] = ""


def nothing_behind_the_head(_: Request, sent: Response) -> None:
    """The connection ends behind the head of a successful response."""
    if not isinstance(sent.body, bytes):
        b"".join(sent.body)  # ends the request to the gateway
    sent.body, sent.cut = iter(()), True


def leave(connection: HTTPConnection, request: Request) -> HTTPResponse:
    """The connection of a chat ends without a response."""
    if request.method == "POST" and is_chat(body_of(request)):
        raise ClientLeft
    return forwarder.forward(connection, request)


def index_zero(chunk: Json) -> None:
    """Every choice of every chunk has the index 0."""
    for choice in chunk["choices"]:
        choice["index"] = 0


def stream_unasked(body: Json) -> None:
    """A request that says `stream: false` is sent on as one for a stream."""
    if body.get("stream") is False:
        body["stream"] = True


def same_owner(request: Request, sent: Response) -> None:
    """Each model of the list has the same owner and the same time."""
    if request.path != "/v1/models" or sent.status != 200 or not isinstance(sent.body, bytes) or not sent.body:
        return
    listed = json.loads(sent.body)
    for one in listed["data"]:
        one.update(created=1677610602, owned_by="openai")
    sent.body = as_json(listed)


def has_image(body: Json) -> bool:
    """A message has a picture."""
    contents = [one.get("content") for one in body["messages"]] if is_chat(body) else []
    parts = [part for content in contents if isinstance(content, list) for part in content]
    return any(isinstance(part, dict) and part.get("type") == "image_url" for part in parts)


SEED = "ollama does not support parameters: {'seed': 1}. To drop these, set `litellm.drop_params=True`"
NO_VISION = "The model has no vision adapter: load a multimodal model to process images."
TOP_P = "Input validation error: `top_p` must be > 0.0 and < 1.0"
KEY_ERROR: Json = {"message": "KeyError('guidance_scale')", "code": 500, "type": "OpenAIError", "param": ""}
DEFECTS: Final[dict[str, Callable[[], Steps]]] = {
    "vllm-project/vllm#40466": lambda: in_chunks(stream_defects.text_as_reasoning),
    "vllm-project/vllm#16361": answer_half_at_once,
    "sgl-project/sglang#910": lambda: refuse(wants_many, 500, b"Internal Server Error", TEXT),
    "sgl-project/sglang#18335": lambda: in_events(stream_defects.nulls_first),
    "ggml-org/llama.cpp#18063": impatient_plain_answers,
    "ggml-org/llama.cpp#14566": lambda: in_errors(error_in_stream),
    "ollama/ollama#10001": lambda: with_body(forget_schema),
    "ollama/ollama#9632": lambda: in_chats(stream_defects.whole_with_tools),
    "Zazza/sd-ai#2": lambda: refuse(
        wants_json_object, 400, as_json({"error": "'response_format.type' must be 'json_schema' or 'text'"}), JSON
    ),
    "lmstudio-ai/lmstudio-bug-tracker#377": lambda: refuse(
        lambda body: isinstance(body.get("messages"), dict), 500, as_json({"error": "_0x48eeaf is not iterable"}), JSON
    ),
    "mattermost/mattermost-plugin-agents#143": lambda: in_chunks(stream_defects.empty_finish_and_usage),
    "mudler/LocalAI#1103": lambda: in_answers(without_id_and_time),
    "huggingface/text-generation-inference#1743": lambda: in_errors(flat_error),
    "BerriAI/litellm#1255": lambda: in_events(stream_defects.no_done),
    "songquanpeng/one-api#1615": lambda: in_events(stream_defects.only_done),
    "QuantumNous/new-api#1178": lambda: in_errors(error_as_event_stream),
    "Portkey-AI/gateway#1399": lambda: in_chunks(stream_defects.without_role),
    "envoyproxy/ai-gateway#494": lambda: in_chats(stream_defects.buffer_with_limit),
    "Kong/kong#14715": lambda: in_answers(unfilled_template),
    "LostRuins/koboldcpp#2481": lambda: in_errors(failure_as_finish),
    "oobabooga/textgen#3718": lambda: refuse(is_chat, 500, as_json({"error": KEY_ERROR}), JSON),
    "theroyallab/tabbyAPI#52": lambda: in_chats(stream_defects.buffer_all),
    "ddalcu/mlx-serve#287": lambda: in_events(stream_defects.without_streamed_tools),
    "NVIDIA/TensorRT-LLM#3280": lambda: in_events(stream_defects.whole_text_now_and_then),
    "openvinotoolkit/model_server#4264": lambda: both(
        refuse(has_markup, 400, as_json({"error": "INVALID_ARGUMENT: a message has <|channel|> tags"}), JSON),
        in_events(stream_defects.harmony_markup),
    ),
    "triton-inference-server/server#7868": lambda: both(in_answers(empty_text), in_chunks(stream_defects.empty_deltas)),
    "xorbitsai/inference#523": lambda: in_responses(stream_defects.bare_objects),
    "chatchat-space/Langchain-Chatchat#2559": lambda: refuse(
        lambda body: is_chat(body) and body.get("stream") is not True, 500, b"Internal Server Error", TEXT
    ),
    "gpustack/gpustack#6155": lambda: in_events(stream_defects.lose_prefixes),
    "huggingface/text-generation-inference#2222": lambda: refuse(
        lambda body: body.get("top_p") in (0, 1), 422, as_json({"error": TOP_P, "error_type": "validation"}), JSON
    ),
    "BerriAI/litellm#40578": lambda: in_events(stream_ends.finish_after_error),
    "songquanpeng/one-api#1394": lambda: in_events(stream_ends.message_at_the_end),
    "Portkey-AI/gateway#1259": lambda: in_events(stream_defects.without_usage),
    "envoyproxy/ai-gateway#2697": lambda: in_events(stream_ends.cut_at_error),
    "Kong/kong#14425": lambda: in_chats(stream_defects.buffer_all),
    "oobabooga/textgen#2505": lambda: in_chats(nothing_behind_the_head),
    "ml-explore/mlx-lm#897": lambda: Steps(forward=leave),
    "NVIDIA/TensorRT-Edge-LLM#93": lambda: in_chunks(stream_defects.only_id_and_choices),
    "openvinotoolkit/model_server#3838": lambda: in_events(stream_ends.markup_in_arguments),
    "xorbitsai/inference#1583": lambda: in_events(stream_ends.text_in_last_chunk),
    "lm-sys/FastChat#3283": lambda: in_events(stream_ends.cut_after_first),
    "Inebrio/Routerly#110": lambda: in_events(stream_defects.trace_first),
    "BerriAI/litellm#3276": lambda: in_chunks(index_zero),
    "ggml-org/llama.cpp#9477": lambda: keep_option("logit_bias", dict),
    "sgl-project/sglang#37833": lambda: in_streams(read_to_the_end),
    "inferencerlabs/inferencer-feedback#127": mixed_clients.mix_at_once,
    "openclaw/openclaw#110642": lambda: in_events(tool_pieces.halves_of_characters),
    "QuantumNous/new-api#5230": lambda: with_body(stream_unasked),
    "BerriAI/litellm#5275": lambda: in_responses(same_owner),
    "BerriAI/litellm#3923": lambda: refuse(
        lambda body: body.get("seed") is not None,
        500,
        as_json({"error": {"message": SEED, "type": None, "param": None, "code": 500}}),
        JSON,
    ),
    "lmstudio-ai/lmstudio-bug-tracker#266": lambda: refuse(has_image, 200, as_json({"error": NO_VISION}), JSON),
    "vllm-project/vllm#17703": lambda: in_events(tool_pieces.once_more),
    "exo-explore/exo#1362": lambda: keep_turns(lambda one: one["role"] == "tool"),
    "lemonade-sdk/lemonade#1836": lambda: OneModel(whole=False).steps,
}
"""The report → its defect; the reports that no client can see have none."""


def unchanged() -> Iterator[tuple[str, Steps]]:
    """The ways in which defects are made, without a defect: each must fail nothing."""
    yield "events", in_events(lambda _: lambda _: None)
    yield "chunks", in_chunks(lambda _: None)
    yield "answers", in_answers(lambda _: None)
    yield "errors", in_errors(lambda *_: None)
    yield "refuse", refuse(lambda _: False, 500, b"", TEXT)
