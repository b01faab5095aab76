"""The ids that checks had until release 0.1: `--only`, `--skip` and baselines accept them until the next release.

An id was an area and a number, then a dot or a dash and words. Now it is always a dash: ``F2.messages-null.param`` is
``F2-messages-null-param``.
"""

from __future__ import annotations

import re
from typing import Final

import pytest

RENUMBERED: Final = {
    "1.1.instance": "1.1.1-instance",
    "1.2.status": "1.2.1-status",
    "1.3.reaped": "1.3.1-reaped",
    "1.4.generation": "1.4.1-generation",
    "1.5.forwarded": "1.5.1-forwarded",
    "1.5.counted": "1.5.2-counted",
    "2.2.message": "2.2.1-message",
    "2.2.nowhere-else": "2.2.2-nowhere-else",
    "2.4.nothing-left": "2.4.1-nothing-left",
    "4.1.free": "4.1.1-free",
    "4.1.schema": "4.1.2-schema",
    "4.2.forwarded": "4.2.1-forwarded",
    "4.4.share": "4.4.1-share",
    "H4-pydantic-ai": "H4-max-completion-tokens",
    "F3.media-type-form": "F3-media-type-urlencoded",
}
"""Old id → new id, where more than a dot has changed."""


FOUND: Final = pytest.StashKey[dict[str, str]]()
"""The old ids that were given, with their present forms."""


def translate(name: str) -> str:
    """Return the present form of an id, perhaps with parameters behind it; a present id as it is."""
    for old, new in RENUMBERED.items():
        if name == old or name.startswith(f"{old}-"):
            return new + name[len(old) :]
    return re.sub(r"\.(?=[a-z])", "-", name)


def accept(config: pytest.Config, name: str) -> str:
    """Return the present form of an id that was given, and remember an old one for the warning."""
    present = translate(name)
    if present != name:
        config.stash.setdefault(FOUND, {})[name] = present
    return present


def accept_lines(config: pytest.Config, text: str) -> str:
    """Return the text of a baseline with the present form of each id; the rest of a line stays as it is."""
    return re.sub(r"(?m)^[A-Z]?[0-9]\S*", lambda found: accept(config, found[0]), text)


def header_line(config: pytest.Config) -> str:
    """Return one warning about all old ids, or an empty text."""
    found = config.stash.get(FOUND, {})
    if not found:
        return ""
    old, new = next(iter(found.items()))
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    return f"warning: {old}{more}: check ids in their old form, which the next release refuses; write {new}"
