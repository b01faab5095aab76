"""Faults of HTTP behaviour, of requests and of hosts and origins: each fails exactly its declared checks."""

import pytest

from tests.fixtures.faults import http_behaviour, origins
from tests.matrix.comparison import Matrix

FAULTS = http_behaviour.FAULTS | origins.FAULTS


@pytest.mark.parametrize("name", FAULTS)
def test_fault(name: str, matrix: Matrix) -> None:
    """Exactly the declared checks fail, and none ends with an error."""
    matrix.compare(FAULTS[name])
