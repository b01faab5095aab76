"""Faults of reading requests: each fails exactly its declared checks."""

import pytest

from tests.fixtures.faults import poison, refusals, requests, size_limits
from tests.matrix.comparison import Matrix

FAULTS = requests.FAULTS | refusals.FAULTS | poison.FAULTS | size_limits.FAULTS


@pytest.mark.parametrize("name", FAULTS)
def test_fault(name: str, matrix: Matrix) -> None:
    """Exactly the declared checks fail, and none ends with an error."""
    matrix.compare(FAULTS[name])
