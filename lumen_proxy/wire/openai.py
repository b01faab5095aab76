"""The OpenAI language: answers, chunks of a stream, models."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lumen_proxy.wire.models import MODELS, model_not_found
from lumen_proxy.wire.text import estimate_tokens, pieces

if TYPE_CHECKING:
    from collections.abc import Iterator

MODELS_CREATED = 1_761_264_000  # 2025-10-24, when the first of them was seen; a constant, so that lists compare equal
SANE_ID = re.compile(r"[\x21-\x7e]{1,128}")


def request_id(callers: str | None) -> str:
    """The caller's own id if it is printable ASCII without spaces, else a new one, as OpenAI's look."""
    return callers if callers and SANE_ID.fullmatch(callers) else f"req_{_hex()}"


def model(name: str) -> dict[str, Any]:
    """One model, or ApiError model_not_found."""
    if name not in MODELS:
        raise model_not_found(name)
    return {"id": name, "object": "model", "created": MODELS_CREATED, "owned_by": "lumen"}


def models() -> dict[str, Any]:
    """`{"object": "list", "data": [...]}`."""
    return {"object": "list", "data": [model(name) for name in MODELS]}


def usage(prompt: str, completion: str) -> dict[str, int]:
    """Estimated token counts; the total is the sum of the two."""
    asked, answered = estimate_tokens(prompt), estimate_tokens(completion)
    return {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered}


def until_stop(text: str, stops: tuple[str, ...]) -> str:
    """The text before the first place where any stop string begins."""
    found = [position for position in (text.find(stop) for stop in stops) if position >= 0]
    return text[: min(found)] if found else text


@dataclass(frozen=True)
class Completion:
    """An answer, ready to be sent whole or in chunks. `created` is in Unix seconds, by the proxy's clock."""

    created: int
    model: str
    text: str
    usage: dict[str, int]
    metadata: dict[str, Any]

    def whole(self) -> dict[str, Any]:
        """`chat.completion`."""
        message = {"role": "assistant", "content": self.text, "refusal": None}
        return {
            "id": new_id(),
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
            "usage": self.usage,
            "lumen_metadata": self.metadata,
        }

    def chunks(self, *, include_usage: bool) -> Iterator[dict[str, Any]]:
        """`chat.completion.chunk`s: the role, pieces of text, the finish, and the usage if it is asked for."""
        base: dict[str, Any] = {
            "id": new_id(),
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
        }
        tail: dict[str, Any] = {"usage": None} if include_usage else {}
        yield base | {"choices": [_delta({"role": "assistant", "content": "", "refusal": None})]} | tail
        for piece in pieces(self.text):
            yield base | {"choices": [_delta({"content": piece})]} | tail
        yield base | {"choices": [_delta({}, "stop")]} | tail | {"lumen_metadata": self.metadata}
        if include_usage:
            yield base | {"choices": [], "usage": self.usage}


def _delta(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def new_id() -> str:
    """`chatcmpl-` and 32 hexadecimal digits."""
    return f"chatcmpl-{_hex()}"


def _hex() -> str:
    """128 random bits. No secret, so not from the system, where each would cost a call of it."""
    return f"{random.getrandbits(128):032x}"
