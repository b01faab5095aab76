"""Launches of the reference in this process, under the names of the fixtures that launch targets."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lumen_conformance.contract.target_monitor import TargetMonitor
from lumen_conformance.run import ALONE, Run
from lumen_conformance.targets.endpoint import Endpoint
from lumen_conformance.targets.launch import HasUrl
from lumen_conformance.targets.target import Target
from tests.fixtures.faults.reference.app import Reference
from tests.fixtures.faults.reference.relay import Relay
from tests.fixtures.faults.reference.settings import Settings
from tests.fixtures.faults.reference.steps import Steps

KEEPALIVE_S = 0.01


class Staged(Endpoint):
    """A reference in this process, as tests call a target."""

    def __init__(self, reference: Reference, target: Target) -> None:
        self.target = target
        self.port = reference.server.port

    @property
    def url(self) -> str:
        """The origin."""
        return f"http://127.0.0.1:{self.port}"


class Stage:
    """Launches one reference for each call, with the same steps; ends them with the ``with`` block."""

    def __init__(self, steps: Steps, target: Target) -> None:
        self._steps, self._target = steps, target
        self._stack = ExitStack()

    def __call__(self, *, gateway: HasUrl | None = None, env: Mapping[str, str] | None = None, **_: Any) -> Staged:  # noqa: ANN401
        """Like `processes.Launches`."""
        url = gateway.url if gateway else os.environ["LUMEN_GATEWAY_URL"]
        made = Relay if self._target.profile == "openai" else Reference
        reference = made(hurried(Settings.of(url, env or {})), self._steps)
        self._stack.callback(reference.server.close)
        return Staged(reference, self._target)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()


def hurried(settings: Settings) -> Settings:
    """Streams that commit early do so at once: the tests wait for it at barriers."""
    if settings.commit_s >= 1:
        return settings
    return replace(settings, commit_s=0.0, keepalive_s=KEEPALIVE_S)


def given(stage: Stage, target: Target) -> dict[str, object]:
    """The fixtures that a launch is made of."""
    launches = dict.fromkeys(("launch", "module_launch", "session_launch"), stage)
    run = Run("staged", ALONE, Path())  # nothing of it is ever written
    kept = {"target": target, "run": run, "target_monitor": TargetMonitor()}
    return {**launches, **kept, "measure": lambda value, *_words, **_named: value}
