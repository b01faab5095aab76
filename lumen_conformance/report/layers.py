"""A foreign target is judged in two layers of one run: `clients`, what clients need, and `strict`, what OpenAI does.

Each layer ends with one word, and the exit status follows one of the layers. "How a run ends" in
``docs/judge-your-own-server.md`` has the table of both.
"""

from __future__ import annotations

from typing import Final

import pytest

from lumen_conformance.registry.measurement import REPORTED_ONLY
from lumen_conformance.report.html import TARGET
from lumen_conformance.report.results import Result, Results
from lumen_conformance.report.run_result import NOTHING_PASSED, UNJUDGED

CLIENTS, STRICT = "clients", "strict"
LAYERS: Final = {CLIENTS: frozenset("M"), STRICT: frozenset("MS")}
MEANINGS: Final = {CLIENTS: "M: what a client breaks without", STRICT: "M and S: what OpenAI does"}
PASSED, FAILED = "PASSED", "FAILED"


def words_of(config: pytest.Config, results: Results) -> dict[str, str]:
    """Return the word of each layer; none for our own proxy, which has to pass everything."""
    if TARGET not in config.stash:
        return {}
    return {name: word_of(results, tiers) for name, tiers in LAYERS.items()}


def deciding_layer(config: pytest.Config) -> str:
    """Return the layer that the exit status follows: `strict` where the target speaks our own wire."""
    return CLIENTS if "S" in config.stash.get(REPORTED_ONLY, frozenset("W")) else STRICT


def word_of(results: Results, tiers: frozenset[str]) -> str:
    """Return how the checks of these tiers ended; a run that is red for another reason has not passed, either."""
    ended = results.results
    own = [each for each in ended if each.entry.tier in tiers]
    if any(each.stale for each in ended) or any(map(_is_broken, own)):
        return FAILED
    whole = not (results.missing or results.broken or any(each.outcome == "error" for each in ended))
    if not whole or any(each.outcome == "not_judged" and not each.excused for each in own):
        return UNJUDGED
    return PASSED if any(each.outcome in {"passed", "baselined"} for each in own) else NOTHING_PASSED


def _is_broken(result: Result) -> bool:
    """Whether the claim does not hold and the baseline does not know it."""
    return result.refuted and result.outcome != "baselined"
