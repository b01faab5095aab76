"""Text: JSON in, strict or of anybody, graphemes, pieces of a stream, an estimate of tokens."""

from __future__ import annotations

import json
import math
import re
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator

    import regex

MAX_DEPTH = 100  # of JSON: nothing known nests deeper than a dozen; Python could neither read nor write 1,000
TOO_DEEP, TOO_LARGE = f"nested deeper than {MAX_DEPTH}", "a number is too large"
PIECE_CHARS = 24  # about five words: a stream that looks alive without a thousand events a page
BYTES_PER_TOKEN = 4
ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
UTF_16 = "utf-16-le"  # the coding in which a lone surrogate can be told from a pair


def estimate_tokens(text: str) -> int:
    """UTF-8 bytes / 4, rounded up: Lumen tells no counts, and clients need some."""
    return -(-len(text.encode()) // BYTES_PER_TOKEN)


class StrictJsonError(ValueError):
    """JSON for Python, but not for every reader. The message is fit for an error: it repeats nothing of the text."""


def strict_json(data: bytes) -> object:
    """Parse one JSON value. Lone surrogates become U+FFFD: they could not be sent on as UTF-8.

    Raises ValueError for anything that another JSON reader could take differently or not at all: not UTF-8,
    NaN, a key twice, nesting beyond `MAX_DEPTH`.
    """
    text, may_have_surrogates = decoded(data)
    try:
        value = json.loads(text, parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_unique)
        if text.count("[") + text.count("{") > MAX_DEPTH:
            check_depth(value)
        if may_have_surrogates:
            value = json.loads(without_surrogates(json.dumps(value, ensure_ascii=False)), object_pairs_hook=_unique)
    except RecursionError:
        raise StrictJsonError(TOO_DEEP) from None
    return value


def json_value(data: bytes) -> object:
    """Parse the JSON of whoever answered. Raises ValueError; also for nesting beyond `MAX_DEPTH`."""
    try:
        value: object = json.loads(data)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    check_depth(value)
    return value


def json_object(data: bytes) -> dict[str, Any]:
    """The JSON object of whoever answered; empty if it is none."""
    try:
        value = json_value(data)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def why_not_json(error: ValueError) -> str:
    """What is wrong, of an error of `strict_json` about a text in UTF-8; no word of the text is repeated."""
    if isinstance(error, json.JSONDecodeError):
        return f"the error is in line {error.lineno}, column {error.colno}"
    return str(error) if isinstance(error, StrictJsonError) else TOO_LARGE  # int() refuses more than 4,300 digits


def decoded(data: bytes) -> tuple[str, bool]:
    """UTF-8 as text without a byte order mark, and whether the JSON may have lone surrogates; raises ValueError.

    A lone surrogate may be an escape, or be encoded as if it were a character. Two such that make a pair become their
    character, as in CESU-8.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("utf-8", "surrogatepass").removeprefix("\ufeff")
        return text.encode(UTF_16, "surrogatepass").decode(UTF_16, "surrogatepass"), True
    return text, bool(ESCAPED_SURROGATE.search(text))


def without_surrogates(text: str) -> str:
    """The text with U+FFFD for each lone surrogate."""
    return text.encode(UTF_16, "surrogatepass").decode(UTF_16, "replace")


def check_depth(value: object) -> None:
    """Raise ValueError for nesting beyond `MAX_DEPTH`. Level by level: recursion would fail on deep values."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        outer = [each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list)]
        if not outer:
            return
        level = [inner for each in outer for inner in each]
    raise StrictJsonError(TOO_DEEP)


def _refuse(constant: str) -> NoReturn:
    raise StrictJsonError(f"{constant} is not JSON")


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise StrictJsonError(TOO_LARGE)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise StrictJsonError("an object has the same key twice")
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
    wide = size
    while not (ends := _ends(text, start, wide)):
        wide *= 2
    if wide > size:
        return ends[0]
    spaces = [end for end in ends if text[end - 1].isspace()]
    return (spaces or ends)[-1]


def _ends(text: str, start: int, chars: int) -> list[int]:
    r"""Ends of the graphemes within `chars` from `start`, itself such an end.

    Cut off for the look, because `\X` counts flags from the very first one, each time. Whether a grapheme ends
    depends on itself and on the one character behind it, so what lies further away changes nothing.
    """
    look = text[start : start + chars + 1]
    return [start + match.end() for match in _grapheme().finditer(look) if match.end() <= chars]


@cache
def _grapheme() -> regex.Pattern[str]:
    r"""`\X`, a grapheme by UAX 29: Hangul in jamo, families and flags of several code points, CR LF."""
    import regex  # noqa: PLC0415 - 15 ms that only a stream needs

    return regex.compile(r"\X")
