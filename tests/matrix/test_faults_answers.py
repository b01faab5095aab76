"""Faults of plain answers: each turns exactly its declared checks red."""

import pytest

from tests.fixtures.faults import answers
from tests.matrix.expectation import Record, hold

FAULTS = answers.FAULTS


@pytest.mark.parametrize("name", FAULTS)
def test_fault(name: str, record_property: Record) -> None:
    """Exactly the declared checks are red, and none is an ERROR."""
    hold(FAULTS[name], record_property)
