"""Write `failures.txt` and `companions.txt` from what was observed; a person reviews the diff.

Comments at the head and entries of faults that were not run stay. Entries of faults that do not exist are removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.fixtures.faults.catalogue import FAULTS
from tests.fixtures.faults.fault import COMPANIONS, COMPANIONS_FILE, FAILURES, FAILURES_FILE, FailureText


def write(observed: Iterable[Mapping[str, Any]]) -> list[Path]:
    """Write both files; each record has the name of a fault, its failure text, and patterns of its companions."""
    texts, companions = dict(FAILURES), dict(COMPANIONS)
    for each in observed:
        if each["text"]:
            texts[each["name"]] = FailureText(*each["text"])
        companions[each["name"]] = tuple(each["companions"])
    _replace(FAILURES_FILE, failures_text(texts))
    _replace(COMPANIONS_FILE, companions_text(companions))
    return [FAILURES_FILE, COMPANIONS_FILE]


def failures_text(texts: Mapping[str, FailureText]) -> str:
    """The entries of the faults that exist, in the order of the catalogue."""
    known = [(name, texts[name]) for name in FAULTS if name in texts]
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
