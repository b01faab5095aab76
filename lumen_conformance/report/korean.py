"""The Korean texts of the page: headings, outcomes, names of scenarios, reasons, the claims of the seventeen."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Final

from lumen_conformance.report.run_result import RunResult, spell

_FILE: Final = Path(__file__).with_suffix(".toml")


@cache
def _tables() -> dict[str, dict[str, str]]:
    return tomllib.loads(_FILE.read_text("utf-8"))


def texts() -> dict[str, str]:
    """Return the Korean text for each English text of the page."""
    return _tables()["texts"]


def phrases() -> dict[str, str]:
    """Return the Korean text for each part of the sentence about a run, with places for the same values."""
    return _tables()["sentence"]


def scenarios() -> dict[str, str]:
    """Return the Korean name of each scenario, by its number."""
    return _tables()["scenarios"]


def claims() -> dict[str, str]:
    """Return the Korean claim of each of the seventeen checks, by its id."""
    return _tables()["claims"]


@cache
def _patterns(table: str) -> list[tuple[re.Pattern[str], str]]:
    keys = _tables()[table]
    return [(re.compile(re.escape(key).replace(r"\{\}", "(.+)"), re.DOTALL), keys[key]) for key in keys]


def of_pattern(text: str, table: str = "patterns") -> str:
    """Return the Korean text of an English one with variable parts; empty for a text that no pattern fits."""
    found = ((pattern.fullmatch(text), korean) for pattern, korean in _patterns(table))
    return next((korean.format(*map(_of_part, match.groups())) for match, korean in found if match), "")


def _of_part(text: str) -> str:
    """Return the Korean text of a variable part, which may be a sentence itself, or the part."""
    return texts().get(text) or of_pattern(text) or text


def of_reason(reason: str) -> str:
    """Return the Korean text of why a check did not run; empty for a reason that is not one of the suite."""
    return of_pattern(reason.removeprefix("not applicable: "), "reasons")


def sentence(result: RunResult) -> str:
    """Return the result of a run in one sentence."""
    return result.written(
        lambda phrase: phrases()[phrase.text].format(*phrase.values),
        lambda number, reason: f"{of_reason(reason) or spell(reason)} {number}",
    )
