"""Mask secrets in the values of a page, never in its markup, its script or its coded data.

The words of the suite that select a colour, or what a filter shows, stay: a variable such as AUTH_MODE may have the
value ``passed``, which is no secret.
"""

from __future__ import annotations

from typing import Final

from lumen_conformance.registry.redaction import Redactor
from lumen_conformance.report.results import NEVER_RAN, OUTCOMES

ABSENT: Final = "absent"  # in the place of an outcome, for a check that one of two runs lacks
_WORDS: Final = frozenset(
    {*OUTCOMES, NEVER_RAN, ABSENT, "good", "bad", "incomplete", "warn", "plain", "mark", "request", "outage", "lane",
     "unseen"}
)  # fmt: skip


def masked(text: str, mask: Redactor) -> str:
    """Return a value with known secrets masked, unless it only consists of these words."""
    return text if _WORDS.issuperset(text.split()) else mask.values_only(text)
