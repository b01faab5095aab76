"""The models that the proxy serves, and which of them a requested name stands for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from lumen_proxy.wire.api_errors import problem

if TYPE_CHECKING:
    from lumen_proxy.errors import ApiError

MODELS: dict[str, str | None] = {
    "lumen-gateway": None,  # the gateway detects the persona
    "lumen-lua": "moon",
    "lumen-elo": "square",
    "lumen-nuri": "earth",
    "lumen-sena": "pen",
}
DEFAULT_MODEL = "lumen-gateway"


def serving_model(requested: str | None, *, strict: bool) -> str:
    """The model that serves a requested name; raises ApiError model_not_found for an unknown name when `strict`.

    A provider prefix (`openai/lumen-sena`, as LiteLLM and OpenRouter write it) and a tag (`lumen-sena:latest`, as
    Ollama writes it) are removed first.
    """
    if requested is None:
        return DEFAULT_MODEL
    name = requested.rpartition("/")[2].partition(":")[0]
    if name in MODELS:
        return name
    if strict:
        raise model_not_found(requested)
    return DEFAULT_MODEL


def model_not_found(requested: str) -> ApiError:
    """404, for a name that is not in `MODELS`."""
    return problem("model_not_found", f"The model {json.dumps(requested[:64])} does not exist.", "model")
