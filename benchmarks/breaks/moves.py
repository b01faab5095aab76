"""Which checks have changed their tier since clients were first asked, and why: moves.json as a table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from tests.fixtures.check_ids import summarize_ids


class Move(NamedTuple):
    """A check and its tiers: an empty one before is a new check, an empty one now a check that is no more.

    A move without a reason of its own is to tier M, because of the evidence in tiers.json.
    """

    check: str
    before: str
    now: str
    reason: str = ""


_KEPT = json.loads(Path(__file__).with_name("moves.json").read_text("utf-8"))
# How many checks had tier M: of both profiles ("all"), and of every OpenAI-compatible server ("openai").
BEFORE: dict[str, int] = _KEPT["before"]
MOVES = tuple(Move(**each) for each in _KEPT["moves"])


def moves_table(moves: Iterable[Move], evidence: Mapping[str, str]) -> Iterator[str]:
    """One line for checks that moved in the same way for the same reason, in Markdown; evidence of M by check."""
    alike: dict[tuple[str, str, str], list[str]] = {}
    for check, before, now, reason in moves:
        alike.setdefault((before, now, reason or evidence[check]), []).append(check)
    yield "| checks | before | now | reason |"
    yield "|---|---|---|---|"
    for (before, now, reason), checks in alike.items():
        escaped = reason.replace("|", "\\|")
        yield f"| {summarize_ids(checks)} | {before or 'new'} | {now or 'none'} | {escaped} |"
