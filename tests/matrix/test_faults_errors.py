"""Faults of errors: each fails exactly its declared checks."""

import pytest

from tests.fixtures.faults import errors, late_errors
from tests.matrix.comparison import Matrix

FAULTS = errors.FAULTS | late_errors.FAULTS


@pytest.mark.parametrize("name", FAULTS)
def test_fault(name: str, matrix: Matrix) -> None:
    """Exactly the declared checks fail, and none ends with an error."""
    matrix.compare(FAULTS[name])
