"""The verdicts of one server as one JSON line, for programs: counts, time, and failures that look alike together."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from league.judging import KEPT, Outcome, kept
from league.servers import SERVERS

WORDS = 6  # of what was expected and what was found: enough to tell two causes apart, few enough to join the same
SUMMARY = KEPT / "summary.jsonl"

Group = dict[str, Any]


def write(outcome: Outcome) -> None:
    """Write the line of this server; those of others stay."""
    lines = _read() | {outcome.server.name: line(outcome)}
    SUMMARY.parent.mkdir(parents=True, exist_ok=True)
    SUMMARY.write_text("".join(json.dumps(each, ensure_ascii=False) + "\n" for each in lines.values()), "utf-8")


def outcomes() -> list[Outcome]:
    """The last outcome of each server that was judged here."""
    lines = _read()
    known = [(server, lines[server.name]) for server in SERVERS if server.name in lines]
    return [
        kept(server, told["elapsed_s"], told["trouble"])
        if told["counts"]
        else Outcome(server, elapsed_s=told["elapsed_s"], trouble=told["trouble"])
        for server, told in known
    ]


def _read() -> dict[str, dict[str, Any]]:
    lines = SUMMARY.read_text("utf-8").splitlines() if SUMMARY.exists() else []
    return {told["name"]: told for told in map(json.loads, lines)}


def line(outcome: Outcome) -> dict[str, Any]:
    """What a program reads about one server; ``failures`` holds the failed M checks, the largest group first."""
    return {
        "name": outcome.server.name,
        "server": outcome.server.title,
        "version": outcome.server.version,
        "counts": dict(outcome.counts),
        "elapsed_s": round(outcome.elapsed_s, 1),
        "trouble": outcome.trouble,
        "failures": [{name: each[name] for name in ("expected", "found", "checks")} for each in groups(outcome.notes)],
    }


def groups(notes: Iterable[dict[str, Any]]) -> list[Group]:
    """The failures of one server, those together whose expected and found begin with the same words."""
    alike: dict[tuple[str, str], Group] = {}
    checks: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for note in sorted(notes, key=check_of):  # two processes run them, in an order of their own
        key = (_first_words(note, "expected"), _first_words(note, "found"))
        checks[key].append(check_of(note))
        alike.setdefault(key, {"expected": key[0], "found": key[1], "example": note})
    return sorted(
        ({**group, "checks": checks[key]} for key, group in alike.items()), key=lambda each: -len(each["checks"])
    )


def check_of(note: dict[str, Any]) -> str:
    """The id of the check, with its parameter."""
    nodeid = str(note["nodeid"])
    return nodeid.partition("[")[2].removesuffix("]") or nodeid.rpartition("::")[2]


def _first_words(note: dict[str, Any], name: str) -> str:
    """What follows ``expected:`` or ``found:``; without it, the last line of the failure."""
    failure = str(note["failure"])
    told = re.search(rf"(?m)^\W*{name}: +(.*)$", failure)
    last = (failure.strip().splitlines() or [""])[-1]
    words = told[1] if told else last if name == "found" else ""
    if words.startswith(("'", '"')):  # the text of a server: its numbers are no cause of their own
        words = re.sub(r"\d+", "N", words)
    return " ".join(words.split()[:WORDS])
