"""Settings of Hypothesis, and fixtures that several modules share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from lumen_proxy.worker.upstream.pool import Pool

# Both limits are of wall time: on a busy machine they fail a test although nothing is wrong with it. The first draw of
# a text, for example, takes 0.2 s on a quiet machine (it reads the table of Unicode) and 1.7 s at a load of 12.
settings.register_profile("suite", parent=settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")


@pytest.fixture
def pools() -> Iterator[list[Pool]]:
    """Pools that are closed after the test."""
    opened: list[Pool] = []
    yield opened
    for pool in opened:
        pool.close()
