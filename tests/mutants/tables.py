"""The tables in docs/mutants.md: one for each scenario, with its mutants."""

from __future__ import annotations

from collections.abc import Iterator

from tests.fixtures.mutations import Mutant, scenario_file, scenario_of
from tests.mutants.mutants import MUTANTS


def tables() -> Iterator[str]:
    """Yield the lines of all tables."""
    for scenario in sorted({scenario for mutant in MUTANTS.values() for scenario in mutant.scenarios}, key=int):
        yield from ("", f"## {title_of(scenario)}", "")
        yield from ("| mutant | what it changes | fails | may fail |", "|---|---|---|---|")
        yield from (_row(mutant, scenario) for mutant in MUTANTS.values() if scenario in mutant.scenarios)
    yield ""


def title_of(scenario: str) -> str:
    """The first sentence of the module of a scenario."""
    return (
        scenario_file(scenario)
        .read_text("utf-8")
        .removeprefix('"""')
        .partition("\n")[0]
        .rstrip(".")
        .removesuffix('"""')
        .rstrip(".")
    )


def _row(mutant: Mutant, scenario: str) -> str:
    fails = ", ".join(sorted(check for check in mutant.fails if scenario_of(check) == scenario))
    possible = " ".join(
        f"{check}: {reason}" for check, reason in mutant.possible.items() if scenario_of(check) == scenario
    )
    return f"| {mutant.name} | {mutant.description} | {fails} | {possible} |"
