"""Text: parse JSON, cut text into the pieces of a stream, estimate tokens."""

from __future__ import annotations

import encodings.utf_8_sig  # noqa: F401 - else it is loaded with the first message, while clients wait
import json
import math
import re
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator

    import regex

MAX_DEPTH = 100  # of JSON: real requests have about 12 levels; Python cannot parse 1,000
TOO_DEEP, TOO_LARGE = f"nested deeper than {MAX_DEPTH}", "a number is too large"
PIECE_CHARS = 24  # about five words: visible progress without thousands of events
BYTES_PER_TOKEN = 4
ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
UTF_16 = "utf-16-le"  # the coding that distinguishes a lone surrogate from a pair


def estimate_tokens(text: str) -> int:
    """UTF-8 bytes / 4, rounded up: the gateway sends no counts, and clients need them."""
    return -(-len(text.encode()) // BYTES_PER_TOKEN)


class StrictJsonError(ValueError):
    """JSON that Python accepts and other parsers do not. The message repeats nothing of the text."""


def strict_json(data: bytes) -> object:
    """Parse one JSON value of a client. Lone surrogates become U+FFFD, since UTF-8 cannot encode them.

    Raises ValueError for anything that other JSON parsers may refuse or understand differently: not UTF-8, NaN, a
    repeated key, nesting beyond `MAX_DEPTH`.
    """
    text, may_have_surrogates = decode_utf8(data)
    try:
        value = json.loads(text, parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_unique)
        if text.count("[") + text.count("{") > MAX_DEPTH:
            check_depth(value)
        if may_have_surrogates:
            value = json.loads(replace_surrogates(json.dumps(value, ensure_ascii=False)), object_pairs_hook=_unique)
    except RecursionError:
        raise StrictJsonError(TOO_DEEP) from None
    return value


def json_value(data: bytes) -> object:
    """Parse one JSON value of a server. Raises ValueError, also for nesting beyond `MAX_DEPTH`."""
    try:
        value: object = json.loads(data)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    check_depth(value)
    return value


def json_object(data: bytes) -> dict[str, Any]:
    """Parse one JSON object; empty if the data are not a JSON object."""
    try:
        value = json_value(data)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def why_not_json(error: ValueError) -> str:
    """The reason for an error of `strict_json`, without any text of the JSON."""
    if isinstance(error, json.JSONDecodeError):
        return f"the error is in line {error.lineno}, column {error.colno}"
    return str(error) if isinstance(error, StrictJsonError) else TOO_LARGE  # int() accepts at most 4,300 digits


def decode_utf8(data: bytes) -> tuple[str, bool]:
    """Decode UTF-8 without its byte order mark; return whether the JSON may have lone surrogates. Raises ValueError.

    A surrogate may be an escape, or be encoded like a character. Two encoded surrogates that are a pair become their
    character, as in CESU-8.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("utf-8", "surrogatepass").removeprefix("\ufeff")
        return text.encode(UTF_16, "surrogatepass").decode(UTF_16, "surrogatepass"), True
    return text, bool(ESCAPED_SURROGATE.search(text))


def replace_surrogates(text: str) -> str:
    """Replace each lone surrogate by U+FFFD."""
    return text.encode(UTF_16, "surrogatepass").decode(UTF_16, "replace")


def check_depth(value: object) -> None:
    """Raise ValueError for nesting beyond `MAX_DEPTH`. Without recursion, which fails for deep values."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        containers = [each for each in level if isinstance(each, dict | list)]
        if not containers:
            return
        level = [child for each in containers for child in (each.values() if isinstance(each, dict) else each)]
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
    """Cut the text into pieces of at most `size` characters.

    A cut follows white space if there is some, and is never inside a grapheme (a syllable of several code points, an
    emoji family). Only a grapheme that is longer than `size` makes a longer piece.
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
    r"""The ends of the graphemes within `chars` from `start`, where a grapheme begins.

    Only this part of the text is searched, since `\X` counts flags from the first one each time. The end of a grapheme
    depends on the grapheme and the next character only.
    """
    part = text[start : start + chars + 1]
    return [start + match.end() for match in _grapheme().finditer(part) if match.end() <= chars]


@cache
def _grapheme() -> regex.Pattern[str]:
    r"""`\X`, a grapheme (UAX 29), such as Hangul in jamo, flags and families of several code points, CR LF."""
    import regex  # noqa: PLC0415 - takes 15 ms, and only a stream needs it

    return regex.compile(r"\X")
