"""What is shown of an address: never the part that may be a secret."""

from __future__ import annotations

import re

SCHEME = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?//")
AFTER_THE_PATH = re.compile(r"[?#]")
HIDDEN = "***"


def masked(text: str) -> str:
    """Any text that may be an address: without all that stands before its last `@`, and without its query.

    A password may hold `@`, `/` and `?`, and a query may hold `@`: where both are possible, only the scheme is shown.
    """
    scheme = found[0] if (found := SCHEME.match(text)) else ""
    before, at, after = text.removeprefix(scheme).rpartition("@")
    if at and AFTER_THE_PATH.search(before):
        return scheme + HIDDEN
    return scheme + (HIDDEN + at if at else "") + without_query(after)


def without_query(url: str) -> str:
    """The address of a setting, which has no user name, without its query and fragment."""
    return AFTER_THE_PATH.split(url, maxsplit=1)[0]
