"""Fixtures that several modules of the tests of the proxy share."""

from __future__ import annotations

import pytest

from lumen_conformance.targets.launch import LaunchedTarget, Launcher
from tests.unit.proxy.supervised import TARGET, Start


@pytest.fixture
def start(launch: Launcher) -> Start:
    """Launch a supervisor with a worker that has a fault."""

    def start_with(*fault: str, ready: bool = True, port: int = 0, **env: str) -> LaunchedTarget:
        return launch(target=TARGET, args=fault, ready=ready, port=port, env=env)

    return start_with
