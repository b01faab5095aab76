"""Healthy variants fail no check: what a good server may do in another way is no defect."""

import pytest

from tests.fixtures.faults.healthy import VARIANTS
from tests.matrix.comparison import Matrix


@pytest.mark.parametrize("name", VARIANTS)
def test_healthy_variant(name: str, matrix: Matrix) -> None:
    """Every check passes or does not apply."""
    matrix.compare_variant(VARIANTS[name])
