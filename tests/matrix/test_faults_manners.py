"""Faults of HTTP manners, and of who may ask: each fails exactly its declared checks."""

import pytest

from tests.fixtures.faults import manners, origins
from tests.matrix.comparison import Matrix

FAULTS = manners.FAULTS | origins.FAULTS


@pytest.mark.parametrize("name", FAULTS)
def test_fault(name: str, matrix: Matrix) -> None:
    """Exactly the declared checks fail, and none ends with an error."""
    matrix.compare(FAULTS[name])
