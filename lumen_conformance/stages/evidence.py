"""A stage runs once in a run, also with several xdist workers; checks read its frozen record.

The first worker that needs a stage takes its lock, writes a start marker, runs the stage, and writes the record by an
atomic rename. The other workers wait for the lock and read the record. A failed stage is recorded as failed and does
not run again. So is a stage whose process died: its marker exists, its record does not, and the system has released its
lock. The folder is new for each run, so that an old record cannot be read.
"""

from __future__ import annotations

import inspect
import os
import re
import time
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
from lumen_conformance.processes.sent_signals import SentSignal
from lumen_conformance.registry.measurement import OBSERVED, STEPS, record, record_evidence, rounded
from lumen_conformance.report import exchange_evidence
from lumen_conformance.run import Run, run_of
from lumen_conformance.stages.observed_fields import ObservedFields, observe_fields
from lumen_conformance.stages.preflight import ensure_ready
from lumen_conformance.stages.stage_resources import PARAMETERS, StageResources
from lumen_conformance.stages.stage_steps import LogSizes, StageRecorder, begin_at_steps
from lumen_conformance.targets.target import Target, target_of

LOCK_S = (
    280.0  # below the time-out of 300 s in pytest.ini, so that the error names a stage that hangs in another worker
)

Outcome = Literal["staged", "failed", "skipped", "crashed"]


class StageRecord(msgspec.Struct, frozen=True):
    """The record of one stage: the evidence, or the reason why there is none (``trouble``).

    ``leaks``      what outlived the stage: its checks are judged, and each is an ERROR at its end
    ``logs``       name → path of every file that its children wrote
    ``signals``    those that the stage has sent, without those that end what it has left
    ``log_sizes``  how large the logs were after each step and before each signal
    ``clock_s``    ``time.time()`` minus ``time.monotonic()``

    ``began_mono_s`` and ``ended_mono_s`` are on the clock of ``time.monotonic()``: what was observed lies between them.
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
    signals: tuple[SentSignal, ...] = ()
    log_sizes: tuple[LogSizes, ...] = ()
    clock_s: float = 0.0
    began_mono_s: float = 0.0
    ended_mono_s: float = 0.0


@dataclass(frozen=True)
class StageStart:
    """The marker of a stage that has started, at a time of ``time.monotonic()``."""

    worker: str
    process: ProcessRef
    mono_s: float


@dataclass(frozen=True)
class StageDefinition:
    """A stage: its function, its scenario, the capabilities that it needs, and its variants."""

    function: Callable[..., Any]
    scenario: int
    needs: tuple[str, ...]
    variants: Mapping[str, Any]

    def name(self, variant: str | None) -> str:
        """Return a name that is unique in a run and valid as a file name."""
        name = f"{self.function.__module__}.{self.function.__qualname__}" + (f"-{variant}" if variant else "")
        return re.sub(r"[^\w.-]+", "_", name.removeprefix("tests."))

    def record(self, config: pytest.Config, variant: str | None) -> StageRecord:
        """Return the record; run the stage first if no worker has. Raises filelock.Timeout."""
        run, name = run_of(config), self.name(variant)
        folder = run.folder / name
        folder.mkdir(exist_ok=True)
        if not (folder / "record.json").exists():
            if "launch" in inspect.signature(self.function).parameters:
                ensure_ready(config)
            with filelock.FileLock(folder / "lock", timeout=lock_timeout_s(target_of(config))):
                self._ensure_record(config, folder, variant)
        staged = msgspec.json.decode((folder / "record.json").read_bytes(), type=StageRecord)
        if (staged.run, staged.stage) != (run.id, name):
            raise RuntimeError(f"{folder} has the record of stage {staged.stage} of run {staged.run}")
        return staged

    def decode(self, evidence: msgspec.Raw) -> Any:  # noqa: ANN401 -- what the stage declares to return
        """Return the evidence as the type that the stage declares."""
        return msgspec.json.decode(evidence, type=get_type_hints(self.function)["return"])

    def _ensure_record(self, config: pytest.Config, folder: Path, variant: str | None) -> None:
        """Write the record if there is none; the caller holds the lock."""
        run, started = run_of(config), folder / "started.json"
        if (folder / "record.json").exists():
            return
        if started.exists():
            start = died = msgspec.json.decode(started.read_bytes(), type=StageStart)
            staged = StageRecord(
                self.name(variant), self.scenario, run.id, died.worker, "crashed", _end_crashed(run, died)
            )
        else:
            start = StageStart(run.worker, ProcessRef.of(os.getpid()), time.monotonic())
            _write(started, start)
            staged = self._stage(config, folder, variant)
        times = {"began_mono_s": start.mono_s, "ended_mono_s": time.monotonic()}
        _write(folder / "record.json", msgspec.structs.replace(staged, **times))

    def _stage(self, config: pytest.Config, folder: Path, variant: str | None) -> StageRecord:
        run = run_of(config)
        resources = StageResources(run, target_of(config), folder, self.variants[variant] if variant else None)
        outcome: Outcome = "failed"
        leaks: tuple[str, ...] = ()
        trouble, evidence = "", msgspec.Raw(b"null")
        recorder = StageRecorder(folder)
        try:
            with ExitStack() as stack:
                wanted = resources.open(inspect.signature(self.function).parameters, stack)
                with recorder.recording():
                    evidence = msgspec.Raw(msgspec.json.encode(self.function(**wanted)))
                self.decode(evidence)  # or only another worker would find that it cannot be decoded
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
        return StageRecord(
            name, self.scenario, run.id, run.worker, outcome, trouble, leaks, resources.logs(), evidence,
            tuple(recorder.signals), tuple(recorder.sizes), time.time() - time.monotonic(),
        )  # fmt: skip


def stage(
    *, scenario: int, needs: tuple[str, ...] = (), variants: Mapping[str, Any] | None = None
) -> Callable[[Callable[..., Any]], Any]:
    """Make a function a fixture: the function runs once in a run, and each check gets the evidence that it returned.

    Its parameters are some of `stage_resources.PARAMETERS`. It returns a frozen dataclass that JSON can represent; its
    return annotation names the type. With `variants` it runs once for each of them, and gets it as ``variant``. `needs`
    names capabilities without which its checks are skipped. Raises TypeError for a function with other parameters.
    """

    def decorate(function: Callable[..., Any]) -> Any:  # noqa: ANN401 -- pytest has no public name for a fixture
        if unknown := set(inspect.signature(function).parameters) - PARAMETERS:
            raise TypeError(
                f"stage {function.__name__} has the unknown parameters {sorted(unknown)}; expected {sorted(PARAMETERS)}"
            )
        definition = StageDefinition(function, scenario, needs, variants or {})

        def evidence(request: pytest.FixtureRequest) -> Iterator[Any]:
            yield from _checked(definition, request)

        vars(evidence)["definition"] = definition  # for tests that call the function; the fixture object keeps it
        return pytest.fixture(evidence, name=function.__name__, params=list(definition.variants) or None)

    return decorate


def lock_timeout_s(target: Target) -> float:
    """Return how long a worker waits for a stage of another: longer by the factor of the time-out of a test."""
    return LOCK_S * target.timeout_factor


def _checked(definition: StageDefinition, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Yield the evidence to one check, or fail with the reason why there is none."""
    target_of(request.config).require(*definition.needs)
    variant: str | None = getattr(request, "param", None)
    staged = definition.record(request.config, variant)
    record_evidence(request.node, run_of(request.config).folder / staged.stage)
    if staged.outcome == "skipped":
        pytest.skip(staged.trouble)
    if staged.outcome != "staged":
        pytest.fail(f"stage {staged.stage} {staged.outcome} on {staged.worker}:\n{staged.trouble}", pytrace=False)
    fields = ObservedFields()
    yield observe_fields(definition.decode(staged.evidence), fields)
    if fields.values:
        record(request.node, OBSERVED, rounded(fields.values))
        record(request.node, STEPS, begin_at_steps(fields.steps, staged.log_sizes))
    exchange_evidence.record_exchanges(request.node, fields.exchanges)
    if staged.leaks:
        raise Leaked(f"stage {staged.stage}: " + "; ".join(staged.leaks))


def _end_crashed(run: Run, died: StageStart) -> str:
    """Kill what a dead worker has left running; return a sentence about it."""
    left = find_tagged(f"{run.id}/{died.worker}/") if died.process.state() != "running" else {}
    kill_all(left)
    return (
        f"its process (pid {died.process.pid}) ended in the middle of it; {len(left)} processes that it left were ended"
    )


def _write(path: Path, record: object) -> None:
    """Write the whole record or nothing."""
    written = path.with_suffix(".new")
    written.write_bytes(msgspec.json.encode(record))
    written.replace(path)
