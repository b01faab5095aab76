"""Faults of streams, and of targets that pass them on: each turns exactly its declared checks red."""

import pytest

from tests.fixtures.faults import chunks, forwarding, framing, tools
from tests.matrix.expectation import Record, hold

FAULTS = framing.FAULTS | chunks.FAULTS | forwarding.FAULTS | tools.FAULTS


@pytest.mark.parametrize("name", FAULTS)
def test_fault(name: str, record_property: Record) -> None:
    """Exactly the declared checks are red, and none is an ERROR."""
    hold(FAULTS[name], record_property)
