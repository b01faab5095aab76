"""Healthy variants stay green: whatever a good server may do otherwise is no defect."""

import pytest

from tests.fixtures.faults.healthy import VARIANTS
from tests.matrix.expectation import Record, hold_healthy


@pytest.mark.parametrize("name", VARIANTS)
def test_healthy_variant(name: str, record_property: Record) -> None:
    """No check is red, and none is an ERROR."""
    hold_healthy(VARIANTS[name], record_property)
