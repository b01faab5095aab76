"""The mutants of the proxy and the damaged environments, with the checks of recovery that each must fail."""

from __future__ import annotations

from typing import Final

from tests.fixtures.faults import supervisor_mutations, worker_mutations

MUTANTS: Final[dict[str, frozenset[str]]] = {
    name: frozenset(checks.split()) for name, checks in (worker_mutations.FAILS | supervisor_mutations.FAILS).items()
}
CHECKS_OF_SCENARIOS: Final = {"1": 5, "2": 4, "3": 4, "4": 4}
SEVENTEEN: Final = tuple(
    f"{scenario}.{number}" for scenario, last in CHECKS_OF_SCENARIOS.items() for number in range(1, last + 1)
)
"""The checks with a column of their own; the last column has the others."""
OF_PROXY: Final = ("1", "2", "4")
ENVIRONMENT: Final = "3"
"""The scenario that reads an environment and no proxy; the others read no environment."""

UNPROVEN: Final = frozenset({"1.3"})
"""No mutant survives SIGKILL: tests/unit/conformance/test_recovery_records.py shows 1.3 fail on a record."""


def scenario_of(check: str) -> str:
    """The number of the scenario of a check."""
    return check.partition(".")[0]


def scenarios_of(mutant: str, *, whole: bool) -> tuple[str, ...]:
    """The scenarios that are run: those of the declared checks; ``whole`` adds the others that a proxy can fail."""
    declared = {scenario_of(check) for check in MUTANTS[mutant]}
    added = OF_PROXY if whole and ENVIRONMENT not in declared else ()
    return tuple(sorted({*declared, *added}, key=int))


def table(failed_by_mutant: dict[str, frozenset[str]]) -> str:
    """The table mutant x check, in Markdown: x = failed, . = passed or not judged, empty = not run."""
    head = f"| {'mutant':28} | {' | '.join(SEVENTEEN)} | details |"
    rule = f"|{'-' * 30}|{'|'.join('-' * 5 for _ in SEVENTEEN)}|---|"
    rows = (
        f"| {name:28} | {' | '.join(_cell(name, check, failed) for check in SEVENTEEN)} "
        f"| {', '.join(sorted(failed - set(SEVENTEEN)))} |"
        for name, failed in failed_by_mutant.items()
    )
    return "\n".join([head, rule, *rows])


def _cell(mutant: str, check: str, failed: frozenset[str]) -> str:
    if scenario_of(check) not in scenarios_of(mutant, whole=True):
        return "   "
    return " x " if check in failed else " . "
