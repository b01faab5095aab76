"""Settings of Hypothesis for all unit tests."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# Both limits are of wall time: on a busy machine they fail a test although nothing is wrong with it. The first draw of
# a text, for example, takes 0.2 s on a quiet machine (it reads the table of Unicode) and 1.7 s at a load of 12.
settings.register_profile("suite", parent=settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")
