"""The two layers of a run against a foreign target: `clients`, what clients need, and `strict`, what OpenAI does.

Each layer has a result, and the exit status follows one of the layers. The section "How a run ends" of
``docs/guide/how-a-run-ends.md`` has a table of the results.
"""

from __future__ import annotations

from typing import Final

import pytest

from lumen_conformance.registry.measurement import REPORTED_ONLY
from lumen_conformance.report.results import Result, Results
from lumen_conformance.report.run_result import UNJUDGED
from lumen_conformance.report.under_test import TARGET

CLIENTS, STRICT = "clients", "strict"
LAYERS: Final = {CLIENTS: frozenset("M"), STRICT: frozenset("MS")}
MEANINGS: Final = {CLIENTS: "M: what clients need", STRICT: "M and S: what OpenAI does"}
PASSED, FAILED, NO_CHECK = "PASSED", "FAILED", "NO CHECK RAN"


def layer_results(config: pytest.Config, results: Results) -> dict[str, str]:
    """Return the result of each layer; empty for the proxy of this repository, which must pass every check."""
    if TARGET not in config.stash:
        return {}
    return {name: layer_result(results, tiers) for name, tiers in LAYERS.items()}


def deciding_layer(config: pytest.Config) -> str:
    """Return the layer that the exit status follows: `strict` with the profile lumen."""
    return CLIENTS if "S" in config.stash.get(REPORTED_ONLY, frozenset("W")) else STRICT


def layer_result(results: Results, tiers: frozenset[str]) -> str:
    """Return the result of the checks of these tiers; a run that fails for another reason has not passed."""
    ended = results.results
    checks = [each for each in ended if each.entry.tier in tiers]
    if any(each.stale for each in ended) or any(map(_is_new_failure, checks)):
        return FAILED
    complete = not (results.missing or results.broken or any(each.outcome == "error" for each in ended))
    if not complete or any(each.outcome == "not_judged" and not each.excused for each in checks):
        return UNJUDGED
    return PASSED if any(each.outcome in {"passed", "baselined"} for each in checks) else NO_CHECK


def _is_new_failure(result: Result) -> bool:
    """Return whether the claim is refuted and the baseline does not list it."""
    return result.refuted and result.outcome != "baselined"
