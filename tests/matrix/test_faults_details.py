"""Faults of structured output, and of what stands beside the text: each fails exactly its declared checks."""

import pytest

from tests.fixtures.faults import details, structured
from tests.matrix.comparison import Matrix

FAULTS = details.FAULTS | structured.FAULTS


@pytest.mark.parametrize("name", FAULTS)
def test_fault(name: str, matrix: Matrix) -> None:
    """Exactly the declared checks fail, and none ends with an error."""
    matrix.compare(FAULTS[name])
