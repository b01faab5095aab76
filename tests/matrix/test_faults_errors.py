"""Faults of errors: each turns exactly its declared checks red."""

import pytest

from tests.fixtures.faults import errors, late_errors
from tests.matrix.expectation import Record, hold

FAULTS = errors.FAULTS | late_errors.FAULTS


@pytest.mark.parametrize("name", FAULTS)
def test_fault(name: str, record_property: Record) -> None:
    """Exactly the declared checks are red, and none is an ERROR."""
    hold(FAULTS[name], record_property)
