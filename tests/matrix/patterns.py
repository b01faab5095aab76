"""The shortest readable patterns that match a set of checks: `F2-*` for a table, `!F2-*-param` for exceptions.

`fault.matches` has their meaning: a check matches a pattern, and none that begins with ``!``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase

from tests.fixtures.check_ids import SUFFIXES

LEAST = 3  # checks that a pattern must match: fewer are listed
LAST = re.compile("|".join(f"{suffix}$" for suffix in SUFFIXES))
WORTH = 4  # checks that a pattern must match for each exception


def patterns_for(red: Iterable[str], every: Sequence[str]) -> tuple[str, ...]:
    """Return patterns that match exactly the failed ones of all these checks, in the order of the checks."""
    wanted = set(red)
    green = [check for check in every if check not in wanted]
    chosen: dict[str, None] = {}
    excluded: dict[str, None] = {}
    for check in (each for each in every if each in wanted):
        if any(fnmatchcase(check, pattern) for pattern in chosen):
            continue
        pattern, exceptions = _widest(check, wanted, green)
        chosen[pattern] = None
        excluded |= dict.fromkeys(exceptions)
    return (*chosen, *(f"!{pattern}" for pattern in excluded))


def _widest(check: str, red: set[str], green: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """The widest pattern that matches this check and is worth its exceptions; else the check itself."""
    for pattern in _candidates(check):
        matched = sum(fnmatchcase(each, pattern) for each in red)
        exceptions = _exceptions(pattern, red, green)
        if matched >= max(LEAST, WORTH * len(exceptions)):
            return pattern, exceptions
    return check, ()


def _candidates(check: str) -> Iterator[str]:
    """Patterns that match a check, the widest first: cut after a dot or a hyphen, with and without its last part."""
    last = LAST.search(check)
    for cut in (found.end() for found in re.finditer(r"[.-]", check)):
        yield f"{check[:cut]}*"
        if last and last.start() > cut:
            yield f"{check[:cut]}*{last[0]}"


def _exceptions(pattern: str, red: set[str], green: Sequence[str]) -> tuple[str, ...]:
    """The exceptions of a pattern: checks that pass, those with a common last part as one pattern."""
    left = [each for each in green if fnmatchcase(each, pattern)]
    found: list[str] = []
    for word in dict.fromkeys(last[0] for each in left if (last := LAST.search(each))):
        wide = f"{pattern}{word}"
        if sum(fnmatchcase(each, wide) for each in left) > 1 and not any(fnmatchcase(each, wide) for each in red):
            found.append(wide)
            left = [each for each in left if not fnmatchcase(each, wide)]
    return (*found, *left)
