"""The failures of one server by their cause, as the suite names it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from league.runs import ServerResult
from lumen_conformance.report.causes import shared_claim
from tests.fixtures.check_ids import SUFFIXES

Verdict = dict[str, Any]


@dataclass(frozen=True)
class LeagueCause:
    """``failed`` are the checks of one tier that it explains, ``unjudged`` those that it keeps from a verdict."""

    name: str
    sentence: str
    failed: tuple[Verdict, ...]
    unjudged: tuple[Verdict, ...]


def causes_of(outcome: ServerResult, tier: str) -> list[LeagueCause]:
    """The causes of what failed (M) or is reported (S), the largest first."""
    sentences = {str(each["name"]): str(each["sentence"]) for each in outcome.ending.get("causes", ())}
    found: dict[str, list[Verdict]] = {}
    for each in outcome.verdicts:
        if each["tier"] == tier and each["outcome"] in {"failed", "warned"}:
            found.setdefault(each["cause"] or each["id"], []).append(each)
    causes = [
        LeagueCause(
            name,
            sentences.get(name, shared_claim([str(verdict["claim"]) for verdict in each])),
            tuple(each),
            _unjudged(outcome, each),
        )
        for name, each in found.items()
    ]
    return sorted(causes, key=lambda cause: (-len(cause.failed), cause.name))


def _unjudged(outcome: ServerResult, failed: Iterable[Verdict]) -> tuple[Verdict, ...]:
    ids = {each["id"] for each in failed}
    return tuple(
        each for each in outcome.verdicts if each["outcome"] == "not_judged" and ids & set(each["because_of"] or ())
    )


def name_of(verdict: Verdict) -> str:
    """The id of a check with its parameter, as pytest shows it."""
    return f"{verdict['id']}-{verdict['param']}" if verdict["param"] else str(verdict["id"])


def ids_of(verdicts: Iterable[Verdict]) -> str:
    """The ids of checks, each once; rows of one check stand together: ``F2-…-never-fails (n-zero, not-json)``."""
    families: dict[tuple[str, str], list[str]] = {}
    for check in sorted({str(each["id"]) for each in verdicts}):
        end = next((suffix for suffix in SUFFIXES if check.endswith(suffix)), "")
        family, separator, row = re.match(r"([^.-]*)([.-]?)(.*)", check.removesuffix(end)).groups()  # type: ignore[union-attr]
        families.setdefault((f"{family}{separator}", end), []).append(row)
    return ", ".join(_shown(family, end, rows) for (family, end), rows in families.items())


def _shown(family: str, end: str, rows: list[str]) -> str:
    if len(rows) == 1 or all(row[:1].isdigit() for row in rows):
        return ", ".join(f"{family}{row}{end}" for row in rows)
    return f"{family}…{end} ({', '.join(rows)})"
