"""A stage runs once in a run, whatever xdist does; checks read its frozen record.

The first worker that needs a stage takes its lock, writes a start marker, stages, and freezes the record by an atomic
rename; everyone else waits for the lock and reads. A stage that failed is recorded as failed and never tried again,
and so is one whose process died: its marker is there, its record is not, and the system has given its lock back.
The folder is new for each run, so that an old record cannot be read.
"""

from __future__ import annotations

import inspect
import os
import re
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_type_hints

import filelock
import msgspec
import pytest

from lumen_conformance.isolation import GUARD
from lumen_conformance.processes.child_process import Leaked
from lumen_conformance.processes.leak_audit import end_leaked_processes
from lumen_conformance.processes.process_tree import ProcessRef, find_tagged, kill_all
from lumen_conformance.registry.measurement import record_evidence
from lumen_conformance.run import Run, run_of
from lumen_conformance.stages.preflight import ensure_ready
from lumen_conformance.stages.stage_resources import PARAMETERS, StageResources
from lumen_conformance.targets.target import Target, target_of

LOCK_S = 280.0  # below the 300 s of pytest.ini, so that a stage that hangs elsewhere is named as such

Outcome = Literal["staged", "failed", "skipped", "crashed"]


class StageRecord(msgspec.Struct, frozen=True):
    """The record of one stage: what was observed (``evidence``), or why there is nothing (``trouble``).

    ``leaks``  what outlived the stage: its checks stand, and each is an ERROR at its end
    ``logs``   name → path of every file that its children wrote
    """

    stage: str
    scenario: int
    run: str
    worker: str
    outcome: Outcome
    trouble: str = ""
    leaks: tuple[str, ...] = ()
    logs: dict[str, str] = msgspec.field(default_factory=dict)
    evidence: msgspec.Raw = msgspec.Raw(b"null")


@dataclass(frozen=True)
class StageStart:
    """The marker of a stage that has begun."""

    worker: str
    stager: ProcessRef


@dataclass(frozen=True)
class StageDefinition:
    """A staged definition: the function that tells it, and what it is called."""

    function: Callable[..., Any]
    scenario: int
    needs: tuple[str, ...]
    variants: Mapping[str, Any]

    def name(self, variant: str | None) -> str:
        """Unique in a run, and fit for a file name."""
        words = f"{self.function.__module__}.{self.function.__qualname__}" + (f"-{variant}" if variant else "")
        return re.sub(r"[^\w.-]+", "_", words.removeprefix("tests."))

    def record(self, config: pytest.Config, variant: str | None) -> StageRecord:
        """Read the record, after staging if nobody has yet. Raises filelock.Timeout."""
        run, name = run_of(config), self.name(variant)
        folder = run.folder / name
        folder.mkdir(exist_ok=True)
        if not (folder / "record.json").exists():
            with filelock.FileLock(folder / "lock", timeout=lock_timeout_s(target_of(config))):
                self._settle(config, folder, variant)
        staged = msgspec.json.decode((folder / "record.json").read_bytes(), type=StageRecord)
        if (staged.run, staged.stage) != (run.id, name):
            raise RuntimeError(f"{folder} has the record of stage {staged.stage} of run {staged.run}")
        return staged

    def decode(self, evidence: msgspec.Raw) -> Any:  # noqa: ANN401 -- what the stage declares to return
        """The evidence as the type that the stage declares."""
        return msgspec.json.decode(evidence, type=get_type_hints(self.function)["return"])

    def _settle(self, config: pytest.Config, folder: Path, variant: str | None) -> None:
        """See that there is a record; the lock is ours."""
        run, started = run_of(config), folder / "started.json"
        if (folder / "record.json").exists():
            return
        if started.exists():
            died = msgspec.json.decode(started.read_bytes(), type=StageStart)
            staged = StageRecord(
                self.name(variant), self.scenario, run.id, died.worker, "crashed", _end_crashed(run, died)
            )
        else:
            _write(started, StageStart(run.worker, ProcessRef.of(os.getpid())))
            staged = self._stage(config, folder, variant)
        _write(folder / "record.json", staged)

    def _stage(self, config: pytest.Config, folder: Path, variant: str | None) -> StageRecord:
        run = run_of(config)
        scene = StageResources(run, target_of(config), folder, self.variants[variant] if variant else None)
        outcome: Outcome = "failed"
        leaks: tuple[str, ...] = ()
        trouble, evidence = "", msgspec.Raw(b"null")
        try:
            with ExitStack() as stack:
                wanted = scene.open(inspect.signature(self.function).parameters, stack)
                evidence = msgspec.Raw(msgspec.json.encode(self.function(**wanted)))
                self.decode(evidence)  # or a worker that only reads it would be the first to find out
                outcome = "staged"
            config.stash[GUARD].check()
            end_leaked_processes(config)
        except pytest.skip.Exception as skip:
            outcome, trouble = "skipped", str(skip)
        except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001 -- whatever it is, it is never tried again
            if isinstance(error, Leaked) and outcome == "staged":
                leaks = (str(error),)
            else:
                outcome, trouble = "failed", traceback.format_exc()
        name = self.name(variant)
        return StageRecord(name, self.scenario, run.id, run.worker, outcome, trouble, leaks, scene.logs(), evidence)


def stage(
    *, scenario: int, needs: tuple[str, ...] = (), variants: Mapping[str, Any] | None = None
) -> Callable[[Callable[..., Any]], Any]:
    """Make a function a fixture that gives the evidence which it returned when it was staged, once in a run.

    It may ask for what `scene.PARAMETERS` names, and returns a frozen dataclass that JSON can hold (its return
    annotation says which). With `variants` it is staged once for each, and asks for ``variant``. `needs` names
    capabilities of the target without which its checks are skipped. Raises TypeError for a function that asks for
    anything else.
    """

    def decorate(function: Callable[..., Any]) -> Any:  # noqa: ANN401 -- pytest has no public name for a fixture
        if unknown := set(inspect.signature(function).parameters) - PARAMETERS:
            raise TypeError(f"stage {function.__name__} asks for {sorted(unknown)}; there is {sorted(PARAMETERS)}")
        definition = StageDefinition(function, scenario, needs, variants or {})

        def evidence(request: pytest.FixtureRequest) -> Iterator[Any]:
            yield from _checked(definition, request)

        vars(evidence)["definition"] = definition  # for who stages it without a run; a fixture takes it over
        return pytest.fixture(evidence, name=function.__name__, params=list(definition.variants) or None)

    return decorate


def lock_timeout_s(target: Target) -> float:
    """How long a stage of another worker is waited for: as much longer as the time-out of a test is."""
    return LOCK_S * target.timeout_factor


def _checked(definition: StageDefinition, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Give the evidence to one check, or the reason why there is none."""
    target_of(request.config).require(*definition.needs)
    if "launch" in inspect.signature(definition.function).parameters:
        ensure_ready(request.config)
    variant: str | None = getattr(request, "param", None)
    staged = definition.record(request.config, variant)
    record_evidence(request.node, run_of(request.config).folder / staged.stage)
    if staged.outcome == "skipped":
        pytest.skip(staged.trouble)
    if staged.outcome != "staged":
        pytest.fail(f"stage {staged.stage} {staged.outcome} on {staged.worker}:\n{staged.trouble}", pytrace=False)
    yield definition.decode(staged.evidence)
    if staged.leaks:
        raise Leaked(f"stage {staged.stage}: " + "; ".join(staged.leaks))


def _end_crashed(run: Run, died: StageStart) -> str:
    """End what a dead stager has left running; what to say about it."""
    left = find_tagged(f"{run.id}/{died.worker}/") if died.stager.state() != "running" else {}
    kill_all(left)
    return (
        f"its process (pid {died.stager.pid}) ended in the middle of it; {len(left)} processes that it left were ended"
    )


def _write(path: Path, record: object) -> None:
    """All or nothing."""
    written = path.with_suffix(".new")
    written.write_bytes(msgspec.json.encode(record))
    written.replace(path)
