"""How a secret is written in texts: as it is, in JSON at any depth, in HTML, in a URL, as a literal, in base64."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable
from typing import Final
from urllib.parse import quote, quote_plus

SHORTEST_ANCHOR: Final = 3  # letters and digits in a row, which are the same in each spelling but base64
_ESCAPES: Final = r"\\{0,16}"  # before a quote in JSON in JSON in JSON are seven
_ENTITIES: Final = {'"': "quot", "&": "amp", "<": "lt", ">": "gt", "'": "apos"}
_LETTERS: Final = {"\n": "n", "\r": "r", "\t": "t", "\b": "b", "\f": "f"}
Replacement = str | Callable[[re.Match[str]], str]


class SecretPattern:
    """Finds a secret in a text, also where each character is spelled in another way."""

    def __init__(self, secret: str) -> None:
        self._anchor = max(re.findall("[A-Za-z0-9]+", secret), key=len, default="")
        mixed = len(self._anchor) >= SHORTEST_ANCHOR  # else each place of a text would have to be tried
        spelled = sorted(map(re.escape, spellings(secret)), key=len, reverse=True)
        self._whole = re.compile("|".join(spelled))
        self._mixed = re.compile("".join(map(_any_spelling, secret))) if mixed else None

    def sub(self, replacement: Replacement, text: str) -> str:
        """Return the text with another one in the place of the secret."""
        text = self._whole.sub(replacement, text)
        return self._mixed.sub(replacement, text) if self._mixed and self._anchor in text else text


def spellings(secret: str) -> set[str]:
    """Return the usual spellings of a secret."""
    found = {secret, quote(secret, safe=""), quote(secret), quote_plus(secret), repr(secret)[1:-1], ascii(secret)[1:-1]}
    found |= {html.escape(secret), html.escape(secret, quote=False), html.escape(secret).replace("&quot;", "&#34;")}
    found |= {repr(secret.encode("utf-8", "surrogatepass"))[2:-1]}
    for is_ascii in (True, False):
        once = json.dumps(secret, ensure_ascii=is_ascii)[1:-1]
        found |= {once, json.dumps(once, ensure_ascii=is_ascii)[1:-1]}
    return found | {base64.b64encode(secret.encode("utf-8", "surrogatepass")).decode()}


def _any_spelling(char: str) -> str:
    """Return a pattern for a character: itself, an entity, percent signs, or an escape of JSON or of a literal."""
    if char.isascii() and char.isalnum():
        return char
    code, units = ord(char), char.encode("utf-16-be", "surrogatepass")
    data = char.encode("utf-8", "surrogatepass")
    entity = "|".join([f"#0*{code}", f"#x0*{code:x}", *([_ENTITIES[char]] if char in _ENTITIES else [])])
    forms = [re.escape(char), f"&(?:amp;){{0,3}}(?:{entity});", "".join(f"%(?:25){{0,3}}{byte:02x}" for byte in data)]
    forms += [r"\+"] if char == " " else [r"\\{1,16}"] if char == "\\" else []
    escapes = [
        "".join(f"{_ESCAPES}u{units[at : at + 2].hex()}" for at in range(0, len(units), 2)),
        "".join(f"(?:{_ESCAPES}x{byte:02x}|{re.escape(chr(byte))})" for byte in data),  # in a header read as Latin-1
        f"{_ESCAPES}{f'x{code:02x}' if code < 256 else f'U{code:08x}'}",
    ]
    escapes += [_ESCAPES + _LETTERS[char]] if char in _LETTERS else []
    return f"(?i:{_ESCAPES}(?:{'|'.join(forms)})|{'|'.join(escapes)})"
