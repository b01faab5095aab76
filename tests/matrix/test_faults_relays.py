"""Faults of targets that pass on the errors, events and pauses of a gateway: each fails exactly its declared checks."""

import pytest

from tests.fixtures.faults import event_readers, forwarded_errors, stream_limits
from tests.matrix.comparison import Matrix

FAULTS = forwarded_errors.FAULTS | event_readers.FAULTS | stream_limits.FAULTS


@pytest.mark.parametrize("name", FAULTS)
def test_fault(name: str, matrix: Matrix) -> None:
    """Exactly the declared checks fail, and none ends with an error."""
    matrix.compare(FAULTS[name])
