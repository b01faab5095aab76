"""Compare the failures of the first page with those of today.

``before.json`` has the M checks that had failed for each server on that page, ``../breaks/moves.json`` the checks whose
tier has changed since, each with its reason.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from league.runs import ServerResult

BEFORE = Path(__file__).with_name("before.json")
MOVES = Path(__file__).parents[1] / "breaks" / "moves.json"
LEFT = ("tier S", "not judged", "no longer asked", "passed")
CAME = ("split", "new", "other")
HEADERS = (
    "before",
    "now",
    "tier S now",
    "not judged now",
    "no longer asked",
    "pass now",
    "split off",
    "new check",
    "other",
)


def before() -> dict[str, Any]:
    """The M checks that had failed, by server."""
    return dict(json.loads(BEFORE.read_text("utf-8")))


def new_checks() -> dict[str, str]:
    """The checks that are there since, each with the reason, which is empty where its evidence is the reason."""
    moves = json.loads(MOVES.read_text("utf-8"))["moves"]
    return {each["check"]: each.get("reason", "") for each in moves if not each["before"]}


def now(outcome: ServerResult) -> set[str]:
    """The M checks that fail, each once, however many rows of it do."""
    return {each["id"] for each in outcome.ended("failed", "M")}


def left(outcome: ServerResult) -> dict[str, str]:
    """The outcome of each check that failed before and does not fail now."""
    fixed = set(before().get(outcome.server.name, {}).get("checks", ())) - now(outcome)
    return {check: _became(outcome, check) for check in fixed}


def _became(outcome: ServerResult, check: str) -> str:
    verdicts = [each for each in outcome.verdicts if each["id"] == check]
    if not verdicts or all(each["outcome"] == "skipped" for each in verdicts):
        return "no longer asked"
    if verdicts[0]["tier"] != "M":
        return "tier S"
    return "not judged" if any(each["outcome"] == "not_judged" for each in verdicts) else "passed"


def came(outcome: ServerResult) -> dict[str, str]:
    """The origin of each check that fails now and did not fail before."""
    joined = now(outcome) - set(before().get(outcome.server.name, {}).get("checks", ()))
    made = new_checks()
    return {check: _origin(made.get(check)) for check in joined}


def _origin(reason: str | None) -> str:
    if reason is None:
        return "other"
    return "split" if reason.startswith("split") else "new"


def changes(outcomes: Sequence[ServerResult]) -> Iterator[str]:
    """Yield the table of counts."""
    yield f"| server | {' | '.join(HEADERS)} |"
    yield "|---" * (len(HEADERS) + 1) + "|"
    for each in outcomes:
        fixed, joined = Counter(left(each).values()), Counter(came(each).values())
        known = len(before().get(each.server.name, {}).get("checks", ()))
        cells = [known, len(now(each)), *(fixed[name] for name in LEFT), *(joined[name] for name in CAME)]
        yield f"| {each.server.title} | {' | '.join(str(cell) for cell in cells)} |"
