"""The Korean texts of the page: headings, outcomes, names of scenarios, the claims of the seventeen."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

_FILE: Final = Path(__file__).with_suffix(".toml")


@cache
def _tables() -> dict[str, dict[str, str]]:
    return tomllib.loads(_FILE.read_text("utf-8"))


def texts() -> dict[str, str]:
    """Return the Korean text for each English text of the page."""
    return _tables()["texts"]


def scenarios() -> dict[str, str]:
    """Return the Korean name of each scenario, by its number."""
    return _tables()["scenarios"]


def claims() -> dict[str, str]:
    """Return the Korean claim of each of the seventeen checks, by its id."""
    return _tables()["claims"]


def count_sentence(counts: Mapping[str, int], reasons: str) -> str:
    """Return the numbers of outcomes, by their English words, in one sentence; the reasons are those of the checks."""
    parts = [f"{texts()[word]} {number}" for word, number in counts.items()]
    return f"{', '.join(parts)}{f' ({reasons})' if reasons else ''}."
