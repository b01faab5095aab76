"""The log lines of a check are those of its own steps."""

from __future__ import annotations

import json
from pathlib import Path

from lumen_conformance.registry.redaction import Redactor
from lumen_conformance.report.log_excerpts import LogExcerpt, read_logs
from lumen_conformance.report.log_lines import MOST_LINES, lines_in

CLOCK_S = 1_795_969_000.0  # what must be added to the monotonic clock
OUTPUT = "one\ntwo\nthree, with sk-very-secret-key\nfour\n"
SIZES = [
    {"at_mono_s": 1.0, "bytes": {"launch/01/stderr.log": 4}},
    {"at_mono_s": 2.0, "bytes": {"launch/01/stdout.log": 9}},
    {"at_mono_s": 3.0, "bytes": {"launch/01/stderr.log": len(OUTPUT) - 5}},
]


def read(folder: Path, name: str, text: str, **record: object) -> LogExcerpt:
    """Write a stage with one log and read it."""
    log = folder / "launch" / "01" / name
    log.parent.mkdir(parents=True)
    log.write_text(text, "utf-8")
    (folder / "record.json").write_text(json.dumps({"clock_s": CLOCK_S, "log_sizes": SIZES} | record), "utf-8")
    (found,) = read_logs([str(folder)], Redactor(["sk-very-secret-key"]))
    return found


def lines(log: LogExcerpt, *steps: tuple[float, float], own: tuple[str, ...] = ()) -> list[str]:
    """Return the lines of these steps, with their own launches."""
    every = log.text.split("\n")
    return [
        line
        for first, last in lines_in(log.name, log.written, [(*step, own) for step in steps])
        for line in every[first : last + 1]
    ]


def test_lines_without_a_time_are_between_two_sizes(tmp_path: Path) -> None:
    """A line belongs to the step in which the log has grown by it; what was written after the last one to none."""
    log = read(tmp_path, "stderr.log", OUTPUT)
    assert lines(log, (0.0, 1.0)) == ["one"]
    assert lines(log, (1.0, 2.0)) == []
    assert lines(log, (2.0, 3.0)) == ["two", "three, with [hidden]"]
    assert lines(log, (0.0, 1.0), (2.5, 3.0)) == ["one", "two", "three, with [hidden]"]
    assert lines(log, (3.0, 9.0)) == ["four"]
    assert lines(log) == []
    (tmp_path / "other").mkdir()
    unended = read(
        tmp_path / "other",
        "stderr.log",
        "one\n\n",
        log_sizes=[{"at_mono_s": 1.0, "bytes": {"launch/01/stderr.log": 3}}],
    )
    assert (lines(unended, (0.0, 1.0)), lines(unended, (1.0, 2.0))) == (["one"], [])


def test_lines_with_a_time(tmp_path: Path) -> None:
    """An event of the journal has the time of the monotonic clock, another JSON line that of the system."""
    text = '{"mono": 1.5}\n{"ts": "2026-11-29T16:16:42.500+00:00"}\n'
    no_events = ["no JSON", '{"ts": 7}', "[]", '"mono"', '{"mono": 1e999}', f'{{"mono": 1{"0" * 400}}}']
    log = read(tmp_path, "journal-1.jsonl", text + "\n".join(no_events))
    assert lines(log, (1.0, 2.0)) == ['{"mono": 1.5}']
    assert lines(log, (2.0, 3.0)) == ['{"ts": "2026-11-29T16:16:42.500+00:00"}']


def test_a_stage_without_sizes_has_no_lines_of_a_check(tmp_path: Path) -> None:
    """Nobody knows when its lines were written."""
    assert lines(read(tmp_path, "stderr.log", OUTPUT, log_sizes=[]), (0.0, 9.0)) == []


def test_a_step_beside_others_has_its_own_logs(tmp_path: Path) -> None:
    """Only the logs of its launches are shown for a step of a thread that has launched processes."""
    log = read(tmp_path, "stderr.log", OUTPUT)
    assert lines(log, (0.0, 1.0), own=("/launch/01/", "/launch/02/")) == ["one"]
    assert lines(log, (0.0, 1.0), own=("/launch/02/",)) == []


def test_blank_lines_are_counted(tmp_path: Path) -> None:
    """A log that begins and ends with blank lines has the times of its other lines."""
    sizes = [{"at_mono_s": float(n), "bytes": {"launch/01/stderr.log": n}} for n in range(1, 8)]
    log = read(tmp_path, "stderr.log", "\n\na\nb\n\n", log_sizes=sizes)
    assert (lines(log, (2.0, 3.0)), lines(log, (4.0, 5.0))) == (["a"], ["b"])


def test_many_lines_are_cut_in_the_middle(tmp_path: Path) -> None:
    """A check shows the first and the last lines of a long step."""
    text = "".join(f"{n}\n" for n in range(1_000))
    sizes = [{"at_mono_s": 1.0, "bytes": {"launch/01/stderr.log": len(text)}}]
    log = read(tmp_path, "stderr.log", text, log_sizes=sizes)
    found = lines(log, (0.0, 1.0))
    assert len(found) == MOST_LINES
    assert (found[0], found[-1]) == ("0", "999")
    assert len(lines_in(log.name, log.written, [(0.0, 1.0, ())])) == 2


def test_the_end_of_a_long_log(tmp_path: Path) -> None:
    """The lines of a log whose beginning is cut have the times of the whole log."""
    text = "".join(f"{n:07}\n" for n in range(10_000))
    sizes = [{"at_mono_s": float(n), "bytes": {"launch/01/stderr.log": 8_000 * n}} for n in range(1, 11)]
    log = read(tmp_path, "stderr.log", text, log_sizes=sizes)
    assert lines(log, (8.0, 8.5))[0] == "0008000"
    assert lines(log, (9.0, 10.0))[-1] == "0009999"
    assert lines(log, (0.0, 5.0)) == []
