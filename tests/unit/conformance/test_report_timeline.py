"""The timeline of a stage has its processes, its journal, its outages and its requests on one clock."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lumen_conformance.registry.redaction import Redactor
from lumen_conformance.report.stage_checks import StageChecks
from lumen_conformance.report.timeline import MOST_LANES, MOST_REQUESTS, Timeline, read_timeline

BEGIN_S, LASTS_S = 1_000.0, 60.0
KEY = "sk-very-secret-key"
EVENTS: list[tuple[float, str, dict[str, Any]]] = [
    (0.0, "started", {"supervisor_pid": 10}),
    (0.1, "worker_spawned", {"pid": 11, "standby": False}),
    (0.5, "ready", {"pid": 11, "generation": 1}),
    (0.6, "worker_spawned", {"pid": 12, "standby": True}),
    (1.0, "worker_died", {"pid": 11, "was_serving": True, "signal": 9}),
    (1.25, "ready", {"pid": 12, "generation": 2}),
    (2.0, "stopped", {"exit_status": 0}),
]


def request(at_s: float, **fields: object) -> dict[str, Any]:
    """Return an exchange as a record has it."""
    exchange = {"url": f"http://127.0.0.1:1/health?key={KEY}", "sent_mono_s": BEGIN_S + at_s, "ended_s": 0.1}
    return {**exchange, "status": 200, "ended": "complete", **fields}


def sent(at_s: float, name: str, pid: int, began_s: float = -1.0) -> dict[str, Any]:
    """Return a signal as a record has it; its process began before the stage, unless a time is given."""
    return {"name": name, "pid": pid, "sent_mono_s": BEGIN_S + at_s, "began_mono_s": BEGIN_S + began_s}


def recovery(**fields: object) -> dict[str, Any]:
    """Return what a stage observes of a kill."""
    killed = [{"ref": {"pid": 21}, "command": "server"}]
    found = {"killed_mono_s": BEGIN_S + 1.0, "killed": killed, "replaced": [], "replaced_s": None, "answered_s": None}
    return {**found, "waited_s": 3.0, **fields}


def read(
    folder: Path,
    evidence: object,
    events: list[tuple[float, str, dict[str, Any]]],
    signals: list[dict[str, Any]] | None = None,
    checks: StageChecks = StageChecks(),  # noqa: B008 -- frozen
) -> Timeline | None:
    """Write the folder of a stage and read its timeline."""
    (folder / "launch").mkdir()
    times = {"began_mono_s": BEGIN_S, "ended_mono_s": BEGIN_S + LASTS_S}
    record = {"stage": "recovery.test_01_process_kill.killed", "evidence": evidence, "signals": signals or [], **times}
    (folder / "record.json").write_text(json.dumps(record), encoding="utf-8")
    lines = [
        json.dumps({"event": name, "mono": BEGIN_S + at_s, "instance": "a"} | fields) for at_s, name, fields in events
    ]
    (folder / "launch" / "journal-1.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return read_timeline(folder, Redactor([KEY]), checks)


def test_processes_have_lanes(tmp_path: Path) -> None:
    """Each process lives from its first event to its last; a worker has the generation with which it served."""
    timeline = read(tmp_path, {}, EVENTS)
    assert timeline
    assert timeline.stage == "killed"
    lanes = [(each.name, each.begin_s, each.end_s) for each in timeline.lanes]
    assert lanes == [
        ("supervisor 10", 0.0, 2.0),
        ("worker 11, generation 1", pytest.approx(0.1), 1.0),
        ("worker 12, generation 2", pytest.approx(0.6), None),
    ]


def test_nothing_is_claimed_after_the_last_event(tmp_path: Path) -> None:
    """A process without an end has the time of its last event; the legend says that it may have ended."""
    timeline = read(tmp_path, {}, EVENTS)
    assert timeline
    assert [(each.end_s, each.last_s) for each in timeline.lanes] == [(2.0, 2.0), (1.0, 1.0), (None, 1.25)]
    assert "lane unseen" in timeline.kinds()


def test_an_outage_is_measured(tmp_path: Path) -> None:
    """Without a kill by the stage, the time from the death of a serving worker to the next ready one is an outage."""
    timeline = read(tmp_path, {}, EVENTS)
    assert timeline
    assert [(each.begin_s, each.end_s, each.text) for each in timeline.outages] == [
        (1.0, 1.25, "no worker for 0.25 s, by the journal")
    ]


def test_requests_have_the_colour_of_their_outcome(tmp_path: Path) -> None:
    """An exchange anywhere in the record is a request: answered, refused, or lost."""
    requests = [request(0.2), {"deep": request(0.3, status=503)}, request(0.4, status=None, ended="reset")]
    timeline = read(tmp_path, {"asked": requests}, EVENTS)
    assert timeline
    assert [each.tone for each in timeline.requests] == ["good", "warn", "bad"]
    assert timeline.requests[2].text.endswith("no status, reset, 0.1 s")
    assert KEY not in str(timeline)


def test_a_target_without_a_journal_has_a_timeline(tmp_path: Path) -> None:
    """The killed process, the one that replaced it, and the outage until the first answer are in it."""
    new = [{"ref": {"pid": 22}, "command": "server"}]
    evidence = {"recovery": recovery(replaced=new, replaced_s=0.5, answered_s=0.75)}
    timeline = read(tmp_path, evidence, [], [sent(1.0, "SIGKILL", 21)])
    assert timeline
    assert [(each.name, each.end_s) for each in timeline.lanes] == [("process 21", 0.0), ("new process 22", None)]
    assert [(each.begin_s, each.end_s, each.text) for each in timeline.outages] == [
        (0.0, 0.75, "first answer after 0.75 s")
    ]


def test_signals_of_the_stage_are_shown(tmp_path: Path) -> None:
    """Each signal of the stage is a mark of its process, whatever the scenario; a killed process ends there."""
    signals = [sent(0.7, "SIGSTOP", 11), sent(0.9, "SIGCONT", 11), sent(1.5, "SIGKILL", 10), sent(1.6, "SIGTERM", 30)]
    timeline = read(tmp_path, {}, EVENTS[:-1], signals)
    assert timeline
    marks = [(each.name, each.tone, timeline.lanes[each.lane].name) for each in timeline.marks if "SIG" in each.name]
    assert marks == [
        ("SIGSTOP", "test", "worker 11, generation 1"),
        ("SIGCONT", "test", "worker 11, generation 1"),
        ("SIGKILL", "test", "supervisor 10"),
        ("SIGTERM", "test", "process 30"),
    ]
    assert {each.name: each.end_s for each in timeline.lanes}["supervisor 10"] == 1.5


def test_a_process_that_got_a_signal_has_a_lane(tmp_path: Path) -> None:
    """Of many processes those that got a signal are shown; a process lives from its own begin."""
    spawned = [(n / 10, "worker_spawned", {"pid": 100 + n}) for n in range(50)]
    timeline = read(tmp_path, {}, [EVENTS[0], *spawned], [sent(4.5, "SIGKILL", 140), sent(4.6, "SIGKILL", 300, 4.25)])
    assert timeline
    assert len(timeline.lanes) == MOST_LANES
    assert [(each.pid, each.begin_s) for each in timeline.lanes[-2:]] == [(140, 4.0), (300, 4.25)]
    assert timeline.left_out == 52 - MOST_LANES


def test_an_outage_is_of_one_instance(tmp_path: Path) -> None:
    """A worker of another launch, which is ready at the same time, ends no outage."""
    other = (1.1, "ready", {"pid": 40, "generation": 1, "instance": "b"})
    timeline = read(tmp_path, {}, sorted([*EVENTS, other]))
    assert timeline
    assert [(each.begin_s, each.end_s) for each in timeline.outages] == [(1.0, 1.25)]


def outages(folder: Path, *later: tuple[float, str, dict[str, Any]]) -> list[tuple[float, float, str]]:
    """Return the outages of a launch whose first worker is ready after 0.5 s, and what happens later."""
    timeline = read(folder, {}, [*EVENTS[:3], *later])
    assert timeline
    return [(each.begin_s, each.end_s, each.text) for each in timeline.outages]


DIED = {"pid": 11, "was_serving": True}


def test_a_crash_loop_is_one_outage(tmp_path: Path) -> None:
    """An outage begins at the first death, also where the next workers die, and lasts to the end of the timeline."""
    again = ((at_s, "worker_died", {"pid": 12, "was_serving": at_s < 2}) for at_s in (1.5, 2.5))
    found = outages(tmp_path, (1.0, "worker_died", DIED), *again, (4.0, "gave_up", {"reason": "crash loop"}))
    assert found == [(1.0, 4.0, "no worker for at least 3 s, by the journal")]


def test_boots_that_fail_are_one_outage(tmp_path: Path) -> None:
    """A server whose workers die before they serve has an outage from the first death, unless another one serves."""
    boots = [(at_s, "worker_died", {"pid": 30, "was_serving": False}) for at_s in (0.2, 0.3)]
    timeline = read(tmp_path, {}, [EVENTS[0], *boots, (0.4, "gave_up", {})])
    assert timeline
    assert [(round(each.begin_s, 3), round(each.end_s, 3)) for each in timeline.outages] == [(0.2, 0.4)]


def test_a_failed_boot_beside_a_serving_worker_is_no_outage(tmp_path: Path) -> None:
    """While a worker serves, the death of one that boots costs no request."""
    assert outages(tmp_path, (0.8, "worker_died", {"pid": 30, "was_serving": False})) == []


def test_an_outage_ends_at_the_next_ready_worker(tmp_path: Path) -> None:
    """Several deaths before it belong to the same outage; a later death begins another."""
    deaths = [(at_s, "worker_died", DIED) for at_s in (1.0, 1.5, 3.0)]
    ready = [(at_s, "ready", {"pid": 12}) for at_s in (2.0, 3.5)]
    assert outages(tmp_path, *sorted(deaths + ready)) == [
        (1.0, 2.0, "no worker for 1 s, by the journal"),
        (3.0, 3.5, "no worker for 0.5 s, by the journal"),
    ]


def test_an_outage_without_an_answer(tmp_path: Path) -> None:
    """An outage that did not end is as long as the wait."""
    timeline = read(tmp_path, recovery(), [], [sent(1.0, "SIGKILL", 21)])
    assert timeline
    assert [(each.end_s, each.text) for each in timeline.outages] == [(3.0, "no answer for 3 s")]


def test_a_stage_without_events_has_none(tmp_path: Path) -> None:
    """No journal and no time: there is nothing to draw; a folder without a record is none of a stage."""
    assert read_timeline(tmp_path, Redactor(())) is None
    assert read(tmp_path, {"status": 69}, []) is None


STRANGE_TIMES = ["1700000000", "1e999", "-1e999", "NaN", "1" * 400, "-5", "999.9", "1060.5", "true", "1e12"]


@pytest.mark.parametrize("mono", STRANGE_TIMES, ids=lambda mono: mono[:10])
def test_an_event_outside_of_the_stage_is_left_out(tmp_path: Path, mono: str) -> None:
    """A target may write any time into its journal: what is no time of this stage is not drawn."""
    line = f'{{"event": "ready", "mono": {mono}, "instance": "a", "pid": 11}}\n'
    (tmp_path / "journal.jsonl").write_text(line, "utf-8")
    timeline = read(tmp_path, {}, EVENTS)
    assert timeline
    assert len(timeline.marks) == len(EVENTS)
    assert timeline.seconds == pytest.approx(2.0 * 1.02)


FOREIGN_OBJECTS: list[dict[str, Any]] = [
    request(0.2, sent_mono_s="soon"), request(0.2, ended_s=None), request(0.2, ended_s=1e300), request(5_000.0),
    recovery(killed_mono_s=10**400), recovery(killed=7), recovery(killed=[{"ref": None}]), recovery(waited_s="long"),
]  # fmt: skip


@pytest.mark.parametrize("found", FOREIGN_OBJECTS)
def test_a_foreign_object_in_a_record_is_left_out(tmp_path: Path, found: dict[str, Any]) -> None:
    """A record may have JSON of a target, which has the names of our fields and other values."""
    timeline = read(tmp_path, {"health": found}, EVENTS)
    assert timeline
    assert (timeline.requests, len(timeline.marks)) == ([], len(EVENTS))


def test_a_deep_value_is_no_error(tmp_path: Path) -> None:
    """An event with more levels than Python follows is on the timeline, without its record."""
    deep = '{"event": "ready", "mono": 1001, "instance": "a", "pid": 11, "deep": ' + "[" * 900 + "]" * 900 + "}\n"
    (tmp_path / "journal.jsonl").write_text(deep, "utf-8")
    timeline = read(tmp_path, {}, EVENTS)
    assert timeline
    assert len(timeline.marks) == len(EVENTS) + 1


def test_many_processes_are_left_out(tmp_path: Path) -> None:
    """A crash loop shows its first processes, and says how many are left out."""
    spawned = [(n / 10, "worker_spawned", {"pid": 100 + n}) for n in range(50)]
    timeline = read(tmp_path, {}, [EVENTS[0], *spawned])
    assert timeline
    assert len(timeline.lanes) == MOST_LANES
    assert timeline.left_out == 51 - MOST_LANES


def test_many_requests_are_thinned(tmp_path: Path) -> None:
    """Of many requests those without an answer stay, and are drawn last; the others are a sample."""
    lost = {"status": None, "ended": "reset"}
    many = [request(n / 1_000, **({} if n % 100 else lost)) for n in range(5_000)]
    timeline = read(tmp_path, many, EVENTS)
    assert timeline
    tones = [each.tone for each in timeline.requests]
    assert tones[-50:] == ["bad"] * 50
    assert MOST_REQUESTS / 2 < len(tones) <= MOST_REQUESTS
    assert timeline.left_out == 5_000 - len(tones)


def test_the_table_says_the_same(tmp_path: Path) -> None:
    """The table has each event, request and outage in the order of time."""
    timeline = read(tmp_path, request(0.2), EVENTS)
    assert timeline
    rows = timeline.rows()
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    assert len(rows) == len(EVENTS) + 2
    assert rows[0][1:3] == ("supervisor 10", "started")


@pytest.mark.parametrize(("seconds", "last"), [(0.004, 0.004), (3.5, 3.5), (47.0, 45.0), (0.001, 0.001), (1e9, 1e9)])
def test_the_scale_has_round_numbers(seconds: float, last: float) -> None:
    """There are at most eleven ticks, and the last is near the end."""
    ticks = Timeline("a", seconds).ticks()
    assert len(ticks) <= 11
    assert ticks[-1] == pytest.approx(last)


def test_the_legend_has_the_colours_that_occur(tmp_path: Path) -> None:
    """A colour is explained where it is used, and no other."""
    timeline = read(tmp_path, request(0.3, status=503), EVENTS)
    assert timeline
    assert timeline.kinds() == {
        "mark plain", "mark good", "mark bad", "request warn", "outage plain", "lane unseen",
    }  # fmt: skip


def test_records_have_no_digits_of_a_float(tmp_path: Path) -> None:
    """What was measured is shown to the microsecond."""
    timeline = read(tmp_path, {}, [(0.0, "started", {"supervisor_pid": 10, "after_s": 0.1 + 0.2})])
    assert timeline
    assert timeline.marks[0].record == '{"supervisor_pid": 10, "after_s": 0.3}'


@pytest.mark.parametrize(
    "line", ["[]", "7", '{"event": "ready"}', '{"event": 1, "mono": 1, "instance": "a"}', "[" * 100_000, "\ud800", "{"]
)
def test_what_is_no_event_is_left_out(line: str, tmp_path: Path) -> None:
    """A journal may have any line; the timeline has its events."""
    (tmp_path / "journal.jsonl").write_text(f"{line}\n", "utf-8", "surrogatepass")
    timeline = read(tmp_path, {}, EVENTS)
    assert timeline
    assert len(timeline.marks) == len(EVENTS)


def test_an_outage_is_red_where_a_check_failed(tmp_path: Path) -> None:
    """A pause that every check of the stage accepts is grey."""
    tones = {}
    for failed in ((), ("8.7-busy",)):
        folder = tmp_path / str(len(failed))
        folder.mkdir()
        timeline = read(folder, {}, EVENTS, checks=StageChecks(("8.7-busy",), failed))
        assert timeline
        tones[failed] = [each.tone for each in timeline.outages]
    assert tones == {(): ["plain"], ("8.7-busy",): ["bad"]}


def test_the_steps_of_a_failed_check_are_shaded(tmp_path: Path) -> None:
    """A step is cut at the begin and the end of the timeline; one beside it is left out."""
    steps = [("8.7-busy", BEGIN_S - 9, BEGIN_S + 1), ("8.7-busy", BEGIN_S + 1.5, BEGIN_S + 9), ("8.8-slow", 1.0, 2.0)]
    timeline = read(tmp_path, {}, EVENTS, checks=StageChecks(("8.7-busy", "8.8-slow"), ("8.7-busy",), steps))
    assert timeline
    assert timeline.failed == ("8.7-busy",)
    assert [(each.begin_s, each.end_s, each.text) for each in timeline.steps] == [
        (0.0, 1.0, "8.7-busy"), (1.5, pytest.approx(2.0 * 1.02), "8.7-busy"),
    ]  # fmt: skip
    assert "step" in timeline.kinds()
    assert ("step", "", "8.7-busy") in [row[1:] for row in timeline.rows()]


@pytest.mark.parametrize(
    ("names", "title"),
    [
        (["8.10-clock-step", "8.7-busy", "8.9-paused", "8.8-slow"], "8.7 to 8.10: busy, slow, paused, …"),
        (["8.11-status"], "8.11: status"),
        (["1.3.1-reaped", "1.1-initial-start"], "1.1, 1.3.1: initial start, reaped"),
        (["8.1-stopped", "8.2-spinning", "8.12-no-words"], "8.1 to 8.2, 8.12: stopped, spinning, no words"),
        (["4.4-response-time", "4.4.1-share", "4.5"], "4.4 to 4.5: response time, share"),
        ([], ""),
    ],
)  # fmt: skip
def test_a_stage_has_the_name_of_its_checks(names: list[str], title: str) -> None:
    """Who reads of a failed check finds its stage; the name of a function says nothing."""
    assert StageChecks(names).title == title
