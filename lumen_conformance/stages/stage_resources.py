"""The resources that a stage gets by the names of its parameters; they end with the stage."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.processes.squatters import Squatters
from lumen_conformance.run import Run
from lumen_conformance.stages.stage_steps import note_launch
from lumen_conformance.targets.launch import Launcher
from lumen_conformance.targets.target import Target


@dataclass(frozen=True)
class StageResources:
    """The target, the variant and the folder of one stage."""

    run: Run
    target: Target
    folder: Path
    variant: Any

    def open(self, names: Iterable[str], stack: ExitStack) -> dict[str, Any]:
        """Open the resources of these names on the stack: the gateway is closed after the servers that call it."""
        return {name: open_one(self, stack) for name, open_one in _RESOURCES.items() if name in names}

    def own_folder(self) -> Path:
        """Return a new folder for files of the stage."""
        own = self.folder / "own"
        own.mkdir()
        return own

    def logs(self) -> dict[str, str]:
        """Return every file that the children of the stage have written, by name."""
        folders = (self.folder / name for name in ("launch", "squat"))
        files = (path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file())
        return {path.relative_to(self.folder).as_posix(): str(path) for path in files}


def _squatters(resources: StageResources) -> Squatters:
    squatters = Squatters(resources.run, resources.folder / "squat", note_launch)
    squatters.fault = resources.target.mutation_environ()
    return squatters


_RESOURCES: dict[str, Callable[[StageResources, ExitStack], Any]] = {
    "run": lambda resources, _: resources.run,
    "target": lambda resources, _: resources.target,
    "variant": lambda resources, _: resources.variant,
    "folder": lambda resources, _: resources.own_folder(),
    "gateway": lambda _, stack: stack.enter_context(ScriptedGateway()),
    "squat": lambda resources, stack: stack.enter_context(_squatters(resources)),
    "launch": lambda resources, stack: stack.enter_context(
        Launcher(resources.run, resources.target, resources.folder / "launch", note_launch)
    ),
}
PARAMETERS = frozenset(_RESOURCES)
