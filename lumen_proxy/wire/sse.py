"""Server-sent events as OpenAI streams them: `data:` lines and comments, nothing else."""

from __future__ import annotations

import json
from typing import Any

DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"
"""A comment: the only keep-alive that every client skips."""


def event(value: dict[str, Any]) -> bytes:
    """One event. The JSON is ASCII, so no reader can cut a syllable or take U+2028 for a line end."""
    return b"data: " + json.dumps(value, separators=(",", ":")).encode("ascii") + b"\n\n"
