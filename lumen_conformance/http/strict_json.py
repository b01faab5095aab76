"""A strict JSON parser: it lists every deviation from RFC 8259 with its offset, and continues after it.

``json.loads`` accepts NaN, reads 1e999 as infinity, keeps the last of two equal keys, accepts lone surrogates, gives no
offsets and does not distinguish 1 from 1.0. This parser keeps the bytes of every value.

A text without deviations is read by Python's own parser, which is ten times faster; the offsets of its values are
computed only when they are needed.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import isinf
from typing import Any, Literal

from lumen_conformance.schemas.descriptions import VALUE_CHARS

Path = tuple[str | int, ...]
Kind = Literal["utf8", "constant", "duplicate", "surrogate", "digits", "range", "syntax", "extra"]

MAX_INTEGER_DIGITS = 4_300  # `json.loads` of Python raises ValueError for a longer one, at its default limit
SAFE_INTEGER_CHARS = 308  # the largest double has 309 digits (1.8e308): an integer this short is always within it
MAX_DEPTH = 200  # answers are not nested that deep; Python's recursion limit is 1,000 frames

_SPACE = re.compile(rb"[ \t\n\r]*")
_STRING = re.compile(rb'"[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*"')
_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_CONSTANT = re.compile(rb"-?Infinity|NaN")
_WORDS: Mapping[bytes, object] = {b"true": True, b"false": False, b"null": None}
_SURROGATE = re.compile("[\ud800-\udfff]")
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")
INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")


@dataclass(frozen=True)
class Problem:
    """A deviation from RFC 8259; ``offset`` is the byte offset in the source."""

    kind: Kind
    offset: int
    path: Path
    found: str


@dataclass(frozen=True, eq=False)
class Document:
    """One JSON text.

    ``value``  the parsed value, None when the text could not be parsed
    ``lines``  (offset in the source, offset in the body) of each line that the source was joined from
    """

    source: bytes
    value: Any
    problems: tuple[Problem, ...] = ()
    lines: tuple[tuple[int, int], ...] = ((0, 0),)

    @property
    def readable(self) -> bool:
        """Whether there is no syntax error; with one, ``value`` has no meaning."""
        return not any(problem.kind == "syntax" for problem in self.problems)

    @property
    def start(self) -> int:
        """The offset of the source in the body."""
        return self.lines[0][1]

    @cached_property
    def spans(self) -> Mapping[Path, tuple[int, int]]:
        """The path of each value, with the offset of its first byte and of the byte after its last."""
        scanner = _Scanner(self.source)
        scanner.document()
        return scanner.spans

    def lexeme(self, path: Path) -> str | None:
        """The text of a value as it was written; None when there is no such value."""
        place = self.spans.get(path)
        return None if place is None else self.source[place[0] : place[1]].decode("utf-8", errors="replace")

    def body_offset(self, at: int) -> int:
        """The offset in the body for an offset in the source."""
        source_at, body_at = next((line for line in reversed(self.lines) if line[0] <= at), self.lines[0])
        return body_at + at - source_at

    def offset(self, path: Path) -> int:
        """The offset of a value in the body; for an absent value, that of its nearest ancestor."""
        while path and path not in self.spans:
            path = path[:-1]
        return self.body_offset(self.spans.get(path, (0, 0))[0])


def format_path(path: Path) -> str:
    """A path in the notation of JSONPath, such as ``$.choices[0].message``."""
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)


def parse(source: bytes, lines: tuple[tuple[int, int], ...] = ((0, 0),)) -> Document:
    """Parse one JSON text; never raises."""
    try:
        return Document(source, _read(source), (), lines)
    except (ValueError, RecursionError):
        return scan(source, lines)


def scan(source: bytes, lines: tuple[tuple[int, int], ...] = ((0, 0),)) -> Document:
    """Parse one JSON text byte by byte: finds every deviation and its offset."""
    scanner = _Scanner(source)
    value = scanner.document()
    return Document(source, value, tuple(scanner.problems), lines)


def _read(source: bytes) -> object:
    """The value of a JSON text without deviations; raises ValueError when the text may have one."""
    if source.count(b"{") + source.count(b"[") > MAX_DEPTH:
        raise ValueError("the text may be nested too deeply")
    value = _DECODER.decode(source.decode("utf-8"))
    if _SURROGATE_ESCAPE.search(source):
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # raises for a lone surrogate
    return value


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _refuse(word: str) -> object:
    raise ValueError(f"{word} is not JSON")


def _integer(lexeme: str) -> int:
    if len(lexeme) > SAFE_INTEGER_CHARS:
        raise ValueError("the integer may have too many digits, or be outside the range of a double")
    return int(lexeme)


def _finite(lexeme: str) -> float:
    if isinf(value := float(lexeme)):
        raise ValueError("the number is outside the range of a double")
    return value


_DECODER = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_refuse, parse_int=_integer, parse_float=_finite)


class _StopError(Exception):
    """Parsing cannot continue after this offset."""


class _Scanner:
    def __init__(self, source: bytes) -> None:
        self.source = source
        self.at = 0
        self.problems: list[Problem] = []
        self.spans: dict[Path, tuple[int, int]] = {}

    def document(self) -> object:
        self._check_utf8()
        try:
            value = self._value(())
        except _StopError:
            return None
        self._skip()
        if self.at < len(self.source):
            self._note("extra", (), f"{len(self.source) - self.at} bytes after the value")
        return value

    def _check_utf8(self) -> None:
        try:
            self.source.decode("utf-8")
        except UnicodeDecodeError as error:
            self.problems.append(Problem("utf8", error.start, (), f"{error.reason}: {error.object[error.start]:#04x}"))

    def _note(self, kind: Kind, path: Path, found: str, offset: int | None = None) -> None:
        self.problems.append(Problem(kind, self.at if offset is None else offset, path, found))

    def _stop(self, path: Path, expected: str) -> _StopError:
        rest = self.source[self.at : self.at + 12].decode("utf-8", errors="backslashreplace")
        there = repr(rest) if rest else "the end"
        self._note("syntax", path, f"{there} where {expected} is expected")
        return _StopError()

    def _skip(self) -> None:
        match = _SPACE.match(self.source, self.at)
        self.at = match.end() if match else self.at

    def _take(self, token: bytes) -> bool:
        self._skip()
        found = self.source.startswith(token, self.at)
        self.at += len(token) if found else 0
        return found

    def _value(self, path: Path) -> object:
        if len(path) > MAX_DEPTH:
            raise self._stop(path, f"nesting of at most {MAX_DEPTH}")
        self._skip()
        start = self.at
        value = self._scalar_or_container(path)
        self.spans[path] = (start, self.at)
        return value

    def _scalar_or_container(self, path: Path) -> object:
        if self._take(b"{"):
            return self._object(path)
        if self._take(b"["):
            return self._array(path)
        if self.source.startswith(b'"', self.at):
            return self._string(path)
        for word, value in _WORDS.items():
            if self._take(word):
                return value
        if match := _CONSTANT.match(self.source, self.at):
            self._note("constant", path, match.group().decode())
            self.at = match.end()
            return float(match.group())
        if match := _NUMBER.match(self.source, self.at):
            value = self._number(path, match.group().decode())
            self.at = match.end()
            return value
        raise self._stop(path, "a value")

    def _number(self, path: Path, lexeme: str) -> int | float:
        """The value of a number; infinity when it is outside the range of a double, as in JavaScript."""
        whole, value = INTEGER.fullmatch(lexeme), float(lexeme)
        digits = len(lexeme.removeprefix("-"))
        if whole and digits > MAX_INTEGER_DIGITS:
            self._note("digits", path, f"an integer of {digits} digits")
        elif isinf(value):
            self._note("range", path, one_line(lexeme))
        return int(lexeme) if whole and not isinf(value) else value

    def _string(self, path: Path) -> str:
        match = _STRING.match(self.source, self.at)
        if match is None:
            raise self._stop(path, "a whole string")
        text: str = json.loads(match.group().decode("utf-8", errors="replace"))
        if lone := _SURROGATE.search(text):
            self._note("surrogate", path, f"\\u{ord(lone.group()):04x} without its second half")
        self.at = match.end()
        return text

    def _object(self, path: Path) -> dict[str, object]:
        found: dict[str, object] = {}
        if self._take(b"}"):
            return found
        while True:
            self._skip()
            start = self.at
            key = self._string(path)
            if key in found:
                self._note("duplicate", (*path, key), f"the key {json.dumps(key)} again", start)
            if not self._take(b":"):
                raise self._stop((*path, key), "a colon")
            found[key] = self._value((*path, key))
            if not self._more(path, b"}"):
                return found

    def _array(self, path: Path) -> list[object]:
        found: list[object] = []
        if self._take(b"]"):
            return found
        while True:
            found.append(self._value((*path, len(found))))
            if not self._more(path, b"]"):
                return found

    def _more(self, path: Path, close: bytes) -> bool:
        if self._take(b","):
            return True
        if self._take(close):
            return False
        raise self._stop(path, f"a comma or {close.decode()}")


def one_line(lexeme: str) -> str:
    """The text of a value, cut to one line."""
    return lexeme[:VALUE_CHARS] + "…" * (len(lexeme) > VALUE_CHARS)


def is_whole(value: object) -> bool:
    """Whether a value is a number without a fraction; check B2.3 tests how the number is written."""
    if isinstance(value, float):
        return value.is_integer()
    return isinstance(value, int) and not isinstance(value, bool)


def is_count(value: object) -> bool:
    """Whether a value is an integer of at least 0."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
