"""Faults between the client's words and the gateway: each fails exactly its declared checks."""

import pytest

from tests.fixtures.faults import gateway_drift, texts, translation
from tests.matrix.comparison import Matrix

FAULTS = translation.FAULTS | gateway_drift.FAULTS | texts.FAULTS


@pytest.mark.parametrize("name", FAULTS)
def test_fault(name: str, matrix: Matrix) -> None:
    """Exactly the declared checks fail, and none ends with an error."""
    matrix.compare(FAULTS[name])
