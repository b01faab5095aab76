"""The mutants of the proxy and the damaged environments, and the scenarios in which each is run."""

from __future__ import annotations

from typing import Final

from tests.fixtures.mutations import Mutant, find, scenario_of

MUTANTS: Final = find()
ENVIRONMENT: Final = "3"
"""The scenario that reads an environment and no proxy."""
CONTROLS: Final = ("4", "2", "1", "15", "10")
"""Scenarios that take a second or two; the first that a mutant does not declare must stay green."""

WITHOUT_CONTROL: Final = {
    "helper-keeps-the-port": "A process remains after each launch, which is an error in each scenario.",
    "leaves-a-process": "A process remains after each launch, which is an error in each scenario.",
}
"""Mutants that are not run in a control scenario, with the reason."""

WITHOUT_MUTANT: Final = {
    "1.3-forced-kill": "No process survives SIGKILL. tests/unit/conformance/test_recovery_records.py has the record.",
}
"""Checks that no mutant can fail, with the reason."""


def control_of(mutant: Mutant) -> str:
    """The control scenario of a mutant; empty if it has none. A damaged environment has healthy processes."""
    if mutant.name in WITHOUT_CONTROL:
        return ""
    touched = {*mutant.scenarios, *map(scenario_of, mutant.possible)}
    return "" if ENVIRONMENT in touched else next(number for number in CONTROLS if number not in touched)
