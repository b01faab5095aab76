"""The mutants of the proxy and the damaged environments, with the checks of recovery that each must fail."""

from __future__ import annotations

from typing import Final

from tests.fixtures.mutations import find

MUTANTS: Final = find()
OF_PROXY: Final = ("1", "2", "4")
ENVIRONMENT: Final = "3"
"""The scenario that reads an environment and no proxy; the others read no environment."""

UNPROVEN: Final = frozenset({"1.3"})
"""No mutant survives SIGKILL: tests/unit/conformance/test_recovery_records.py shows 1.3 fail on a record."""


def scenarios_of(mutant: str, *, whole: bool) -> tuple[str, ...]:
    """The scenarios that are run: those of the declared checks; ``whole`` adds the others that a proxy can fail."""
    declared = MUTANTS[mutant].scenarios
    added = OF_PROXY if whole and ENVIRONMENT not in declared else ()
    return tuple(sorted({*declared, *added}, key=int))
