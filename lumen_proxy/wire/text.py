"""Text: strict JSON in, graphemes, pieces of a stream, an estimate of tokens."""

from __future__ import annotations

import json
import math
import re
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator

    import regex

PIECE_CHARS = 24  # about five words: a stream that looks alive without a thousand events a page
BYTES_PER_TOKEN = 4
ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def estimate_tokens(text: str) -> int:
    """UTF-8 bytes / 4, rounded up: Lumen tells no counts, and clients need some."""
    return -(-len(text.encode()) // BYTES_PER_TOKEN)


def strict_json(data: bytes) -> object:
    """Parse one JSON value.

    Raises ValueError for anything that another JSON reader could take differently or not at all: not UTF-8,
    NaN, a key twice, a lone surrogate (it could never be sent on as UTF-8), nesting beyond the parser's depth.
    """
    text = data.decode("utf-8-sig")
    try:
        value = json.loads(text, parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_unique)
        if ESCAPED_SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()  # a UnicodeEncodeError is a ValueError
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"{number} is too large")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key twice in one object")
    return value


def pieces(text: str, size: int = PIECE_CHARS) -> Iterator[str]:
    """Cut into pieces of about `size` characters that join to exactly `text`.

    A cut is after white space where there is some, and never within a grapheme (a syllable of several
    code points, an emoji family); only a single grapheme longer than `size` makes a longer piece.
    """
    start = 0
    while start < len(text):
        end = _cut(text, start, size)
        yield text[start:end]
        start = end


def _cut(text: str, start: int, size: int) -> int:
    if len(text) - start <= size:
        return len(text)
    last = after_space = 0
    for end in _boundaries(text, start):
        if end - start > size:
            break
        last = end
        if text[end - 1].isspace():
            after_space = end
    return after_space or last or next(_boundaries(text, start))


def _boundaries(text: str, start: int) -> Iterator[int]:
    """Ends of the graphemes from `start`."""
    return (match.end() for match in _grapheme().finditer(text, start))


@cache
def _grapheme() -> regex.Pattern[str]:
    r"""`\X`, a grapheme by UAX 29: Hangul in jamo, families and flags of several code points, CR LF."""
    import regex  # noqa: PLC0415 - 15 ms that only a stream needs

    return regex.compile(r"\X")
