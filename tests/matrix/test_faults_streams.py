"""Faults of streams, and of targets that pass them on: each fails exactly its declared checks."""

import pytest

from tests.fixtures.faults import chunks, forwarders, lost_tools, sse_format, tool_answers, tools
from tests.matrix.comparison import Matrix

FAULTS = sse_format.FAULTS | chunks.FAULTS | forwarders.FAULTS | tools.FAULTS | tool_answers.FAULTS | lost_tools.FAULTS


@pytest.mark.parametrize("name", FAULTS)
def test_fault(name: str, matrix: Matrix) -> None:
    """Exactly the declared checks fail, and none ends with an error."""
    matrix.compare(FAULTS[name])
