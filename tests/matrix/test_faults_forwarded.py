"""Faults of forwarded requests: each fails exactly its declared checks."""

import pytest

from tests.fixtures.faults import kept_state, lost_options, lost_turns
from tests.matrix.comparison import Matrix

FAULTS = lost_turns.FAULTS | lost_options.FAULTS | kept_state.FAULTS


@pytest.mark.parametrize("name", FAULTS)
def test_fault(name: str, matrix: Matrix) -> None:
    """Exactly the declared checks fail, and none ends with an error."""
    matrix.compare(FAULTS[name])
