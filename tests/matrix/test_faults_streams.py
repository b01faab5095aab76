"""Faults of streams, and of targets that pass them on: each fails exactly its declared checks."""

import pytest

from tests.fixtures.faults import chunks, forwarding, framing, tools
from tests.matrix.comparison import Matrix

FAULTS = framing.FAULTS | chunks.FAULTS | forwarding.FAULTS | tools.FAULTS


@pytest.mark.parametrize("name", FAULTS)
def test_fault(name: str, matrix: Matrix) -> None:
    """Exactly the declared checks fail, and none ends with an error."""
    matrix.compare(FAULTS[name])
