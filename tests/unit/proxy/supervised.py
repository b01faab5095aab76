"""What tests of a supervisor with a fake worker share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from lumen_conformance.targets.launch import LaunchedTarget
from lumen_conformance.targets.target import Target

SUPERVISE = Path(__file__).with_name("supervise.py")
TARGET = Target(command=(sys.executable, str(SUPERVISE), "{port}"))
SOON_S = 10.0  # each step takes milliseconds; the rest is for a busy machine

Start = Callable[..., LaunchedTarget]


def event_names(proxy: LaunchedTarget) -> list[str]:
    """The names of the events in the journal."""
    return [event.name for event in proxy.journal.events()]
