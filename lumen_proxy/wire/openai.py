"""The OpenAI protocol: models, completions, chunks and events of a stream."""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lumen_proxy.wire.api_errors import api_error
from lumen_proxy.wire.text import estimate_tokens, pieces

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lumen_proxy.errors import ApiError

MODELS: dict[str, str | None] = {  # model → persona of the gateway
    "lumen-gateway": None,  # the gateway detects the persona
    "lumen-lua": "moon",
    "lumen-elo": "square",
    "lumen-nuri": "earth",
    "lumen-sena": "pen",
}
DEFAULT_MODEL = "lumen-gateway"
MODELS_CREATED = 1_761_264_000  # 2025-10-24, when the first model was seen; a constant, so that lists compare equal
VALID_ID = re.compile(r"[\x21-\x7e]{1,128}")
DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"
"""A comment: the only kind of keep-alive that each client ignores."""


def serving_model(requested: str | None, *, strict: bool) -> str:
    """The model for a requested name; raises ApiError model_not_found for an unknown name if `strict`.

    A provider prefix (`openai/lumen-sena`, as in LiteLLM and OpenRouter) and a tag (`lumen-sena:latest`, as in Ollama)
    are ignored.
    """
    if requested is None:
        return DEFAULT_MODEL
    name = requested.rpartition("/")[2].partition(":")[0]
    if name in MODELS:
        return name
    if strict:
        raise _model_not_found(requested)
    return DEFAULT_MODEL


def _model_not_found(requested: str) -> ApiError:
    return api_error("model_not_found", f"The model {json.dumps(requested[:64])} does not exist.", "model")


def model(name: str) -> dict[str, Any]:
    """The object of one model; raises ApiError model_not_found."""
    if name not in MODELS:
        raise _model_not_found(name)
    return {"id": name, "object": "model", "created": MODELS_CREATED, "owned_by": "lumen"}


def models() -> dict[str, Any]:
    """`{"object": "list", "data": [...]}`."""
    return {"object": "list", "data": [model(name) for name in MODELS]}


def request_id(requested: str | None) -> str:
    """The client's own id if it is printable ASCII without spaces, else a new one in OpenAI's form."""
    return requested if requested and VALID_ID.fullmatch(requested) else f"req_{_random_hex()}"


def usage(prompt: str, completion: str) -> dict[str, int]:
    """Estimated token counts; the total is the sum of the other two."""
    prompt_tokens, completion_tokens = estimate_tokens(prompt), estimate_tokens(completion)
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
    }


def until_stop(text: str, stops: tuple[str, ...]) -> str:
    """The text before the first stop string."""
    found = [position for position in (text.find(stop) for stop in stops) if position >= 0]
    return text[: min(found)] if found else text


@dataclass(frozen=True)
class Completion:
    """An answer, to be sent whole or in chunks. `created` is in Unix seconds, by the clock of the proxy."""

    created: int
    model: str
    text: str
    usage: dict[str, int]
    metadata: dict[str, Any]

    def whole(self) -> dict[str, Any]:
        """The `chat.completion`."""
        message = {"role": "assistant", "content": self.text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        return self._base("chat.completion", [choice]) | {"usage": self.usage, "lumen_metadata": self.metadata}

    def chunks(self, *, include_usage: bool) -> Iterator[dict[str, Any]]:
        """The `chat.completion.chunk`s: role, pieces of text, finish reason, and the usage if it is requested."""
        base = self._base("chat.completion.chunk", [])
        tail: dict[str, Any] = {"usage": None} if include_usage else {}
        yield base | {"choices": [_delta({"role": "assistant", "content": "", "refusal": None})]} | tail
        for piece in pieces(self.text):
            yield base | {"choices": [_delta({"content": piece})]} | tail
        yield base | {"choices": [_delta({}, "stop")]} | tail | {"lumen_metadata": self.metadata}
        if include_usage:
            yield base | {"usage": self.usage}

    def _base(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {"id": new_id(), "object": kind, "created": self.created, "model": self.model, "choices": choices}


def _delta(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def event(value: dict[str, Any]) -> bytes:
    """One server-sent event. Its JSON is ASCII: no reader can split a character or take U+2028 for a line end."""
    return b"data: " + json.dumps(value, separators=(",", ":")).encode("ascii") + b"\n\n"


def new_id() -> str:
    """`chatcmpl-` and 32 hexadecimal digits."""
    return f"chatcmpl-{_random_hex()}"


def _random_hex() -> str:
    """128 random bits. They are not a secret, and so not from the system: that would cost a system call each."""
    return f"{random.getrandbits(128):032x}"
