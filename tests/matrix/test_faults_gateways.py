"""Faults at the gateway, and of several clients at once: each fails exactly its declared checks."""

import pytest

from tests.fixtures.faults import concurrency, gateways
from tests.matrix.comparison import Matrix

FAULTS = gateways.FAULTS | concurrency.FAULTS


@pytest.mark.parametrize("name", FAULTS)
def test_fault(name: str, matrix: Matrix) -> None:
    """Exactly the declared checks fail, and none ends with an error."""
    matrix.compare(FAULTS[name])
