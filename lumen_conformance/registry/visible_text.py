"""Make characters of a foreign text visible that a terminal, a page or an editor obeys instead of showing them."""

from __future__ import annotations

import re
from typing import Final

# Control characters except tab and line ends, and those that change the direction of text: https://trojansource.codes
_OBEYED: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]|\r(?!\n)")


def visible(text: str) -> str:
    r"""Return the text with an escape, such as ``\x1b``, for each of these characters and for half surrogate pairs."""
    return _OBEYED.sub(_escape, text).encode("utf-8", "backslashreplace").decode("utf-8")


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")
