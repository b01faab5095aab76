"""What the parts of one run have in common about their target."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lumen_conformance.report.run_conditions import OF_TARGET
from lumen_conformance.targets.target import Target, target_of

if TYPE_CHECKING:
    import pytest


def configure(config: pytest.Config) -> None:
    """Let the record have the conditions of the target."""
    config.stash[OF_TARGET] = conditions_of(target_of(config))


def conditions_of(target: Target) -> dict[str, object]:
    """Return the conditions by the names that errors have. No value has a key, a header or a variable."""
    return {
        "target": target.describe() if target.foreign else "our own proxy",
        "fault": target.mutation,
        "profile": target.profile,
        "model": target.model,
        "capabilities": sorted(target.can),
        "health path": target.health_path,
        "time limit of an answer (s)": target.answer_s,
        "time limit of a start (s)": target.start_s,
        "load checks": target.load,
        "key": "given" if target.api_key else "none",
        "names of headers": sorted({name for name, _ in target.headers}),
        "names of variables": sorted({name for name, _ in target.variables}),
    }
