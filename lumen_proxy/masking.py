"""Hide the parts of an address that may be secret."""

from __future__ import annotations

import re

SCHEME = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?//")
AFTER_THE_PATH = re.compile(r"[?#]")
HIDDEN = "***"


def mask(text: str) -> str:
    """Hide everything before the last `@` of a text that may be an address, and its query.

    A password may contain `@`, `/` and `?`, and a query may contain `@`: where both are possible, only the scheme is
    shown.
    """
    scheme = found[0] if (found := SCHEME.match(text)) else ""
    before, at, after = text.removeprefix(scheme).rpartition("@")
    if at and AFTER_THE_PATH.search(before):
        return scheme + HIDDEN
    return scheme + (HIDDEN + at if at else "") + without_query(after)


def without_query(url: str) -> str:
    """An address without query and fragment; it must have no user name."""
    return AFTER_THE_PATH.split(url, maxsplit=1)[0]
