"""What a stage may ask for by the names of its parameters; made for it alone and ended with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.processes.squatters import Squatters
from lumen_conformance.run import Run
from lumen_conformance.targets.launch import Launcher
from lumen_conformance.targets.target import Target


@dataclass(frozen=True)
class StageResources:
    """One story: what it is about, and where its files are."""

    run: Run
    target: Target
    folder: Path
    variant: Any

    def open(self, words: Iterable[str], stack: ExitStack) -> dict[str, Any]:
        """What parameters of these names stand for, opened on the stack: the gateway outlives those who call it."""
        return {word: open_one(self, stack) for word, open_one in _OFFERS.items() if word in words}

    def own_folder(self) -> Path:
        """A folder for whatever the stage wants to write."""
        own = self.folder / "own"
        own.mkdir()
        return own

    def logs(self) -> dict[str, str]:
        """Every file that the children of the story have written, by name."""
        places = (self.folder / word for word in ("launch", "squat"))
        files = (path for place in places for path in sorted(place.rglob("*")) if path.is_file())
        return {path.relative_to(self.folder).as_posix(): str(path) for path in files}


def _squatters(scene: StageResources) -> Squatters:
    squatters = Squatters(scene.run, scene.folder / "squat")
    squatters.fault = scene.target.mutation_environ()
    return squatters


_OFFERS: dict[str, Callable[[StageResources, ExitStack], Any]] = {
    "run": lambda scene, _: scene.run,
    "target": lambda scene, _: scene.target,
    "variant": lambda scene, _: scene.variant,
    "folder": lambda scene, _: scene.own_folder(),
    "gateway": lambda _, stack: stack.enter_context(ScriptedGateway()),
    "squat": lambda scene, stack: stack.enter_context(_squatters(scene)),
    "launch": lambda scene, stack: stack.enter_context(Launcher(scene.run, scene.target, scene.folder / "launch")),
}
PARAMETERS = frozenset(_OFFERS)
