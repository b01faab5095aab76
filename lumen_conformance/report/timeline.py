"""The timeline of a stage: when its processes lived, what their journal says, and what happened to requests.

It is read from the folder of the stage: the journals of its launches, and the signals, exchanges and times in its
record. All of them are on the clock of ``time.monotonic()``. A target without a journal has the processes that got a
signal and those that replaced them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any, Final

from lumen_conformance.registry.journal_event import JournalEvent
from lumen_conformance.registry.measurement import rounded
from lumen_conformance.registry.redaction import Redactor
from lumen_conformance.registry.visible_text import visible
from lumen_conformance.report.figures import format_figure
from lumen_conformance.report.stage_checks import StageChecks
from lumen_conformance.report.stage_times import StageSignal, StageTimes

MOST_LANES: Final = 12  # of one stage: those that got a signal, then the first ones; a crash loop has many
MOST_MARKS: Final = 400  # of each kind
MOST_REQUESTS: Final = 200  # those that were not answered first
RECORD_CHARS: Final = 400
NAME_CHARS: Final = 40  # of a process: the room beside its line
TONES: Final = {
    "ready": "good", "standby_ready": "good", "worker_died": "bad", "standby_died": "bad", "gave_up": "bad",
    "worker_hung": "bad", "draining": "warn", "restart_scheduled": "warn",
}  # fmt: skip
_DIED: Final = ("worker_died", "standby_died")


@dataclass(frozen=True)
class Mark:
    """Something at one time. ``lane`` is the place of its process; ``record`` is what was written about it."""

    at_s: float
    lane: int
    name: str
    tone: str
    record: str


@dataclass
class Lane:
    """One process. Seconds count from the begin of the timeline; without an end nobody recorded when it ended.

    ``last_s`` is the time of its last event: it was running until then.
    """

    pid: int
    name: str
    begin_s: float
    end_s: float | None = None
    last_s: float = 0.0


@dataclass(frozen=True)
class Span:
    """A time without an answer, or a request."""

    begin_s: float
    end_s: float
    tone: str
    text: str


@dataclass
class Timeline:
    """What one stage observed. Seconds count from its first event.

    ``failed``  the checks of the stage that failed; ``steps`` are theirs
    """

    stage: str
    seconds: float = 0.0
    failed: Sequence[str] = ()
    lanes: list[Lane] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    outages: list[Span] = field(default_factory=list)
    requests: list[Span] = field(default_factory=list)
    steps: list[Span] = field(default_factory=list)
    left_out: int = 0

    def rows(self) -> list[tuple[float, str, str, str]]:
        """Return time, process, event and record of everything, in the order of time: the timeline as a table."""
        rows = [(each.at_s, self.lanes[each.lane].name, each.name, each.record) for each in self.marks]
        rows += [(each.begin_s, "request", "", each.text) for each in self.requests]
        rows += [(each.begin_s, "outage", "", each.text) for each in self.outages]
        rows += [(each.begin_s, "step", "", each.text) for each in self.steps]
        return sorted(rows)

    def kinds(self) -> set[str]:
        """Return what the legend explains: the kinds and tones that occur."""
        found = {f"mark {each.tone}" for each in self.marks} | {f"request {each.tone}" for each in self.requests}
        found |= {"step"} if self.steps else set()
        found |= {"lane unseen"} if any(each.end_s is None for each in self.lanes) else set()
        return found | {f"outage {each.tone}" for each in self.outages}

    def ticks(self) -> list[float]:
        """Return times for the scale: at most ten, at round numbers."""
        step = next(each for each in _steps() if self.seconds / each <= 10)
        return [round(place * step, 6) for place in range(int(self.seconds / step) + 1)]


def _steps() -> Iterator[float]:
    for power in count(-3):
        yield from (digit * 10.0**power for digit in (1, 2, 5))


def read_timeline(folder: Path, mask: Redactor, checks: StageChecks = StageChecks()) -> Timeline | None:  # noqa: B008 -- frozen
    """Return the timeline of the stage with this folder; None if it has no events."""
    try:
        times = StageTimes(folder)
    except (OSError, ValueError, RecursionError):
        return None
    return _TimelineReader(times, mask, checks).read(times.name)


class _TimelineReader:
    """Makes one timeline."""

    def __init__(self, found: StageTimes, mask: Redactor, checks: StageChecks) -> None:
        self._checks = checks
        self._events, self._observed, self._mask = found.events, found, mask
        self._lanes: dict[int, int] = {}
        self._supervisors: dict[str, int] = {}  # by instance
        times = [each.mono_s for each in found.events]
        times += [each["sent_mono_s"] for each in found.exchanges]
        times += [each["killed_mono_s"] for each in found.recoveries]
        times += [each.sent_mono_s for each in found.signals]
        self._begin_s = min(times, default=0.0)
        self._timeline = Timeline("")

    def read(self, stage: str) -> Timeline | None:
        """Return the timeline; None without events."""
        self._timeline.stage = self._text(self._checks.title or stage.rpartition(".")[2])
        self._timeline.failed = self._checks.failed
        for event in self._events:
            self._add_event(event)
        for sent in self._observed.signals:
            self._add_signal(sent)
        for recovery in self._observed.recoveries:
            self._add_recovery(recovery)
        for exchange in self._observed.exchanges:
            self._add_exchange(exchange)
        timeline = self._timeline
        if not timeline.lanes:
            return None
        if not self._observed.recoveries:
            ends = [each.at_s for each in timeline.marks] + [each.end_s for each in timeline.requests]
            timeline.outages += self._journalled_outages(max(ends, default=0.0))
        self._thin_lanes()
        self._thin_requests()
        every: tuple[list[Any], ...] = (timeline.marks, timeline.requests, timeline.outages)
        for shown in every:
            timeline.left_out += max(0, len(shown) - MOST_MARKS)
            del shown[MOST_MARKS:]
        ends = [each.at_s for each in timeline.marks] + [each.end_s for each in timeline.requests + timeline.outages]
        timeline.seconds = max(ends, default=0.0) * 1.02 or 0.001
        for name, *times in self._checks.steps:
            begin_s, end_s = (min(max(0.0, each - self._begin_s), timeline.seconds) for each in times)
            timeline.steps += [Span(begin_s, end_s, "step", name)] if begin_s < end_s else []
        return timeline

    def _thin_lanes(self) -> None:
        """Keep a part of many processes, with their marks, in the order of their begin."""
        timeline, signalled = self._timeline, {each.pid for each in self._observed.signals}
        places = sorted(range(len(timeline.lanes)), key=lambda place: timeline.lanes[place].begin_s)
        kept = sorted(places, key=lambda place: timeline.lanes[place].pid not in signalled)[:MOST_LANES]
        kept = [place for place in places if place in kept]
        timeline.left_out += len(places) - len(kept)
        timeline.lanes = [timeline.lanes[place] for place in kept]
        timeline.marks = [replace(each, lane=kept.index(each.lane)) for each in timeline.marks if each.lane in kept]

    def _thin_requests(self) -> None:
        """Keep a part of many requests: those without an answer, then every n-th; what went wrong is drawn last."""
        requests, timeline = self._timeline.requests, self._timeline
        wrong = [each for each in requests if each.tone != "good"][: MOST_REQUESTS - 1]
        good = [each for each in requests if each.tone == "good"]
        step = max(1, -(-len(good) // (MOST_REQUESTS - len(wrong))))
        timeline.requests = [*good[::step], *sorted(wrong, key=lambda each: each.tone, reverse=True)]
        timeline.left_out += len(requests) - len(timeline.requests)

    def _lane(self, pid: int, name: str, at_s: float) -> int:
        """Return the place of a process."""
        if pid not in self._lanes:
            self._lanes[pid] = len(self._timeline.lanes)
            self._timeline.lanes.append(Lane(pid, f"{name} {pid}", at_s))
        return self._lanes[pid]

    def _add_event(self, event: JournalEvent) -> None:
        at_s = event.mono_s - self._begin_s
        supervisor = self._supervisor(event, at_s)
        own = event.fields.get("pid")
        lane = supervisor
        if isinstance(own, int) and event.name != "started":
            lane = self._lane(own, "standby" if event.fields.get("standby") else "worker", at_s)
        if lane is None:
            return
        if event.name == "ready":
            self._timeline.lanes[lane].name = self._text(f"worker {own}, generation {event.fields.get('generation')}")[
                :NAME_CHARS
            ]
        if event.name in _DIED or event.name == "stopped":
            self._timeline.lanes[lane].end_s = at_s
        self._mark(at_s, lane, event.name, event.fields)

    def _supervisor(self, event: JournalEvent, at_s: float) -> int | None:
        """Return the lane of the supervisor of this instance."""
        pid = event.fields.get("supervisor_pid")
        if event.name == "started" and isinstance(pid, int):
            self._supervisors[event.instance] = pid
            return self._lane(pid, "supervisor", at_s)
        known = self._supervisors.get(event.instance)
        return None if known is None else self._lane(known, "supervisor", at_s)

    def _add_signal(self, sent: StageSignal) -> None:
        at_s = sent.sent_mono_s - self._begin_s
        lane = self._lane(sent.pid, "process", max(0.0, sent.began_mono_s - self._begin_s))
        self._mark(at_s, lane, sent.name, {"sent by": "the suite", "pid": sent.pid}, "test")
        if sent.name == "SIGKILL":
            self._timeline.lanes[lane].end_s = at_s

    def _add_recovery(self, recovery: dict[str, Any]) -> None:
        at_s = recovery["killed_mono_s"] - self._begin_s
        for each in recovery["replaced"]:
            replaced_s = at_s + (recovery["replaced_s"] or recovery["waited_s"])
            self._mark(replaced_s, self._lane(each["ref"]["pid"], "new process", replaced_s), "seen", each)
        answered_s = recovery["answered_s"]
        lasted_s = answered_s or recovery["waited_s"]
        text = f"{'first answer after' if answered_s else 'no answer for'} {format_figure(lasted_s, 's')}"
        self._timeline.outages.append(Span(at_s, at_s + lasted_s, self._outage_tone, text))

    def _add_exchange(self, exchange: dict[str, Any]) -> None:
        begin_s = exchange["sent_mono_s"] - self._begin_s
        path = "/" + str(exchange["url"]).split("//", 1)[-1].partition("/")[2]
        status, ended = exchange.get("status"), exchange.get("ended", "")
        good = ended == "complete" and status is not None and status < 400
        tone = "good" if good else "warn" if ended == "complete" else "bad"
        text = self._text(f"{path}: {status or 'no status'}, {ended}, {format_figure(exchange['ended_s'], 's')}")
        self._timeline.requests.append(Span(begin_s, begin_s + exchange["ended_s"], tone, text))

    def _journalled_outages(self, end_s: float) -> list[Span]:
        """The times from the death of a worker to the next that is ready, as the journals have them.

        Further deaths belong to the same outage. Without a ready worker it lasts to the end of the timeline. The death
        of a worker that has not served is an outage where no other serves, as in a crash loop.
        """
        spans, died_s, serving = list[Span](), dict[str, float](), set[str]()  # by instance
        for event in self._events:
            at_s = event.mono_s - self._begin_s
            if event.name == "worker_died" and (event.fields.get("was_serving") or not serving):
                died_s.setdefault(event.instance, at_s)
                serving.discard(event.instance)
            elif event.name == "stopped":
                serving.discard(event.instance)
            elif event.name == "ready":
                serving.add(event.instance)
                if event.instance in died_s:
                    spans.append(self._outage(died_s.pop(event.instance), at_s, ""))
        return [*spans, *(self._outage(begin_s, end_s, "at least ") for begin_s in died_s.values())]

    @property
    def _outage_tone(self) -> str:
        return "bad" if self._checks.failed else "plain"

    def _mark(self, at_s: float, lane: int, name: str, record: object, tone: str = "") -> None:
        try:
            text = self._text(json.dumps(rounded(record), ensure_ascii=False))
        except RecursionError:  # a journal may have it
            text = "too many levels"
        self._timeline.marks.append(Mark(at_s, lane, self._text(name), tone or TONES.get(name, "plain"), text))
        self._timeline.lanes[lane].last_s = max(at_s, self._timeline.lanes[lane].last_s)

    def _text(self, text: str) -> str:
        cut = text if len(text) <= RECORD_CHARS else f"{text[:RECORD_CHARS]}…"
        return visible(self._mask.text(cut))

    def _outage(self, begin_s: float, end_s: float, bound: str) -> Span:
        text = f"no worker for {bound}{format_figure(round(end_s - begin_s, 6), 's')}, by the journal"
        return Span(begin_s, end_s, self._outage_tone, text)
