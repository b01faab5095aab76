"""The steps of a stage: which log lines belong to which observation."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from lumen_conformance.http.capture import Capture
from lumen_conformance.stages.observed_fields import ObservedFields, observe_fields
from lumen_conformance.stages.stage_steps import (
    LogSizes,
    StageRecorder,
    StageStep,
    StepTime,
    begin_at_steps,
    note_launch,
)
from lumen_conformance.targets.endpoint import Health


@dataclass(frozen=True)
class CountedStep(StageStep):
    """What one step has observed."""

    value: int


@dataclass(frozen=True)
class FirstStep(StageStep):
    """What checks read before they read other fields."""

    is_precondition = True
    problem: str = ""


@dataclass(frozen=True)
class SteppedEvidence:
    """The evidence of a stage with four steps."""

    start: FirstStep
    first: CountedStep
    second: CountedStep
    health: Health


def test_a_step_begins_where_the_last_one_ended() -> None:
    """Each thread has its own steps; the times are no part of a comparison, and survive the record."""
    first, second = CountedStep(1), CountedStep(2)
    apart: list[CountedStep] = []
    thread = threading.Thread(target=lambda: apart.append(CountedStep(2)))
    thread.start()
    thread.join()
    assert first.since_mono_s < first.at_mono_s == second.since_mono_s < second.at_mono_s
    assert (apart[0].since_mono_s, apart[0]) == (0.0, second)
    read = msgspec.json.decode(msgspec.json.encode(second), type=CountedStep)
    assert (read.since_mono_s, read.at_mono_s) == (second.since_mono_s, second.at_mono_s)


def test_the_sizes_of_logs_after_each_step(tmp_path: Path) -> None:
    """The size of each log that has grown is marked at the end of a step, and at the end of the stage."""
    log = tmp_path / "launch" / "01" / "stderr.log"
    log.parent.mkdir(parents=True)
    recorder = StageRecorder(tmp_path)
    with recorder.recording():
        log.write_text("one\n")
        first = CountedStep(1)
        CountedStep(2)
        log.write_text("one\ntwo\n")
    CountedStep(3)
    sizes = recorder.sizes
    assert [each.bytes for each in sizes] == [{"launch/01/stderr.log": 4}, {}, {"launch/01/stderr.log": 8}]
    assert sizes[0].at_mono_s == first.at_mono_s < sizes[1].at_mono_s < sizes[2].at_mono_s < time.monotonic()


def test_an_exchange_belongs_to_the_time_since_the_last_step() -> None:
    """What is logged before a request was sent is caused by what was done after the last step."""
    sizes = [LogSizes(1.0, {}), LogSizes(3.0, {})]
    steps = [(0.5, 0.75, ()), (2.0, 2.5, ()), (3.0, 4.0, ("/launch/01/",))]
    assert begin_at_steps(steps, sizes) == [(0.0, 0.75, ()), (1.0, 2.5, ()), (3.0, 4.0, ("/launch/01/",))]


def test_a_step_beside_others_has_its_own_launches(tmp_path: Path) -> None:
    """A step of a thread has the launches of this thread; one of the stage itself may be about any launch."""
    observed = list[CountedStep]()

    def launch(number: int) -> None:
        note_launch(tmp_path / "launch" / f"{number:02}")
        observed.append(CountedStep(number))

    with StageRecorder(tmp_path).recording():
        for number in (1, 2):
            thread = threading.Thread(target=launch, args=(number,))
            thread.start()
            thread.join()
        launch(3)
    assert [each.own_launches for each in observed] == [("/launch/01/",), ("/launch/02/",), ()]


@dataclass(frozen=True)
class WholeEvidence(StageStep):
    """A step that has others in it, and records that are none."""

    number: int
    start: FirstStep
    parts: tuple[CountedStep, ...]
    plain: dict[str, PlainPart]


@dataclass(frozen=True)
class PlainPart:
    """What a step has observed."""

    value: int


def test_a_step_with_parts() -> None:
    """Its own fields, and those of records in it that are no steps, count for all of it; a part counts for itself."""
    evidence = WholeEvidence(7, FirstStep(), (CountedStep(1), CountedStep(2)), {"one": PlainPart(3)})
    whole = (evidence.parts[0].since_mono_s, evidence.at_mono_s, ())
    start = (evidence.start.since_mono_s, evidence.start.at_mono_s, ())
    second = (evidence.parts[1].since_mono_s, evidence.parts[1].at_mono_s, ())
    assert steps(evidence, lambda found: found.start.problem) == [start]
    assert steps(evidence, lambda found: (found.start.problem, found.number)) == [whole]
    assert steps(evidence, lambda found: found.plain["one"].value) == [whole]
    assert steps(evidence, lambda found: found.parts[1].value) == [second]


def steps(evidence: WholeEvidence, read: Callable[[WholeEvidence], object]) -> list[StepTime]:
    """Return the steps that a check has read."""
    fields = ObservedFields()
    read(observe_fields(evidence, fields))
    return fields.steps


def test_the_steps_that_a_check_has_read() -> None:
    """A step counts when a field of it is read, and a probe by the times of its exchange; the times are no fields."""
    capture = Capture("http://127.0.0.1/", b"", sent_mono_s=7.0, elapsed_s=0.5)
    evidence = SteppedEvidence(FirstStep(), CountedStep(1), CountedStep(2), Health(capture, 200, ready=True))
    fields = ObservedFields()
    observed = observe_fields(evidence, fields)
    assert not observed.start.problem
    assert fields.steps == [(evidence.start.since_mono_s, evidence.start.at_mono_s, ())]
    assert observed.second.value == 2
    assert observed.first is not None
    assert observed.health.status == 200
    assert fields.steps == [(evidence.second.since_mono_s, evidence.second.at_mono_s, ()), (7.0, 7.5, ())]
    assert fields.values == [
        ("start.problem", ""),
        ("second.value", 2),
        ("first", {"value": 1}),
        ("health.status", 200),
    ]
