"""Compare a value with the value that was sent: a proxy may add members, and write a number in another way."""

from __future__ import annotations

import math

RELATIVE_ERROR = 1e-6  # of a number that a proxy keeps in 32 bits: 6e-8


def includes(found: object, sent: object) -> bool:
    """Whether a JSON value has everything of the sent one: equal numbers and texts, and each member of an object."""
    if isinstance(sent, dict):
        return isinstance(found, dict) and all(key in found and includes(found[key], sent[key]) for key in sent)
    if isinstance(sent, list):
        if not isinstance(found, list) or len(found) != len(sent):
            return False
        return all(includes(one, other) for one, other in zip(found, sent, strict=True))
    if isinstance(sent, bool) or isinstance(found, bool) or not isinstance(sent, int | float):
        return type(found) is type(sent) and found == sent
    return isinstance(found, int | float) and math.isclose(found, sent, rel_tol=RELATIVE_ERROR)
