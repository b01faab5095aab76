"""Requests with unusual values, most of them valid: an answer and a refusal are right, a failure of the server is not.

Public reports name some of these values, with what they did to a server: docs/protocol/chat-completions.md. The others
(emoji, direction, numbers, names, stop-empty) have no report; they are legal values at the edge of their types.
"""

import json

from lumen_conformance.contract.session import question

DEEP = 400  # levels: fewer than the 1,000 of Python's stack, more than the 128 of serde_json
# Of three bytes each. No usual length of a log line in bytes (256, 1,000, 1,024, 4,096) is a multiple of three, so a
# server that cuts a text there cuts it amid a character.
WORD_CHARS = 4_000


def _ask(text: object, **fields: object) -> bytes:
    """A request in ASCII: half a surrogate pair and control characters are escaped."""
    return json.dumps(question("") | {"messages": [{"role": "user", "content": text}], **fields}).encode()


def _nest(levels: int) -> object:
    value: object = 0
    for _ in range(levels):
        value = [value]
    return value


UNUSUAL_REQUESTS = {
    "empty": _ask(""),
    "empty-part": _ask([{"type": "text", "text": ""}]),
    "nul": _ask("a\0b"),
    "lone-surrogate": _ask("\ud83c"),
    "emoji": _ask("👩🏽‍🚀 ❤️‍🔥 🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"),
    "direction": _ask("\u2066שלום\u2069 \u200f\u202eabc\u202c"),
    "long-word": _ask("가" * WORD_CHARS),
    "special-tokens": _ask("<|endoftext|><|im_end|><|eot_id|></s>[INST]"),
    "deep": _ask("안녕", extra=_nest(DEEP)),
    "numbers": _ask("안녕", seed=2**63 - 1, temperature=1e-300, top_p=1e-300),
    "names": _ask("안녕", user="\u202e😀 ' OR 1=1 --"),
    "max-tokens-zero": _ask("안녕", max_tokens=0),
    "stop-empty": _ask("안녕", stop=""),
}
