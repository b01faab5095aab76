"""Writes `failures.txt` and `companions.txt` as they were seen, for a person to review as a diff.

Lines of faults that were not run stay; the comments at the head stay; faults that exist no more go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.fixtures.faults.catalogue import FAULTS
from tests.fixtures.faults.fault import COMPANIONS, COMPANIONS_FILE, FAILURES, FAILURES_FILE, Told


def write(seen: Iterable[Mapping[str, Any]]) -> list[Path]:
    """Write both files; each record has the name of a fault, what its check told, and patterns of its companions."""
    told, companions = dict(FAILURES), dict(COMPANIONS)
    for each in seen:
        if each["told"]:
            told[each["name"]] = Told(*each["told"])
        companions[each["name"]] = tuple(each["companions"])
    _replace(FAILURES_FILE, failures_text(told))
    _replace(COMPANIONS_FILE, companions_text(companions))
    return [FAILURES_FILE, COMPANIONS_FILE]


def failures_text(told: Mapping[str, Told]) -> str:
    """The entries of the faults that exist, in the order of the catalogue."""
    known = [(name, told[name]) for name in FAULTS if name in told]
    return "".join(f"\n[{name}]\nexpected: {each.expected}\nfound: {each.found}\n" for name, each in known)


def companions_text(companions: Mapping[str, tuple[str, ...]]) -> str:
    """A line for each fault that has companions, new ones at the end."""
    lines = (f"{name}: {' '.join(patterns)}\n" for name, patterns in companions.items() if patterns and name in FAULTS)
    return "".join(lines)


def _replace(path: Path, body: str) -> None:
    head = [line for line in path.read_text("utf-8").split("\n") if line.startswith("#")]
    unfinished = path.with_suffix(".new")
    unfinished.write_text("".join(f"{line}\n" for line in head) + body, "utf-8", newline="\n")
    unfinished.replace(path)
