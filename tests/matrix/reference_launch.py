"""Launches of the reference in this process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType
from typing import Any, Final, Self

from lumen_conformance.targets.endpoint import Endpoint
from lumen_conformance.targets.launch import HasUrl
from lumen_conformance.targets.target import Target
from tests.fixtures.faults.reference.app import Reference
from tests.fixtures.faults.reference.relay import Relay
from tests.fixtures.faults.reference.settings import Settings
from tests.fixtures.faults.reference.steps import Steps

KEEPALIVE_S: Final = 0.01  # between signs of life: as short as a test can tell from none


class LaunchedReference(Endpoint):
    """A reference in this process, with the interface of a launched target."""

    def __init__(self, reference: Reference, target: Target) -> None:
        self.target = target
        self.port = reference.server.port

    @property
    def url(self) -> str:
        """The origin."""
        return f"http://127.0.0.1:{self.port}"


class ReferenceLaunches:
    """Each call launches a reference with the same steps; all of them end with the ``with`` block."""

    def __init__(self, steps: Steps, target: Target) -> None:
        self._steps, self._target = steps, target
        self._stack = ExitStack()

    def __call__(
        self,
        *,
        gateway: HasUrl | None = None,
        env: Mapping[str, str] | None = None,
        **_: Any,  # noqa: ANN401 -- the other arguments of `Launches`
    ) -> LaunchedReference:
        """Launch one; the arguments are those of `Launches`."""
        url = gateway.url if gateway else os.environ["LUMEN_GATEWAY_URL"]
        kind = Relay if self._target.profile == "openai" else Reference
        reference = kind(commit_at_once(Settings.of(url, env or {})), self._steps)
        self._stack.callback(reference.server.close)
        return LaunchedReference(reference, self._target)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()


def commit_at_once(settings: Settings) -> Settings:
    """Let a stream that commits early commit at once: its gateway waits for the client in these tests."""
    if settings.commit_s >= 1:
        return settings
    return replace(settings, commit_s=0.0, keepalive_s=KEEPALIVE_S)
