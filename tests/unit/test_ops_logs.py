"""Reading logs: rotations, torn lines, and files that move while they are read."""

from __future__ import annotations

import json
from pathlib import Path

from lumen_proxy.ops.logs import Follower, rotations
from lumen_proxy.rotation import RotatedFile


def line(number: int) -> bytes:
    """One line; the time grows with the number."""
    return json.dumps({"ts": f"2026-01-01T00:00:{number:02}", "event": "request", "n": number}).encode() + b"\n"


def test_rotations_are_ordered_by_number(tmp_path: Path) -> None:
    """Ten is older than nine; other names do not belong."""
    for name in ("log", "log.1", "log.9", "log.10", "log.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in rotations(tmp_path / "log")] == ["log.10", "log.9", "log.1", "log"]


def test_each_line_once_across_rotations(tmp_path: Path) -> None:
    """Two rotations between two looks: nothing is lost and nothing comes twice."""
    log = RotatedFile(tmp_path / "a.jsonl", max_bytes=200, keep=5, days=9)
    follower = Follower(tmp_path)
    seen: list[int] = []
    for number in range(12):
        log.append(line(number))
        if number % 5 == 0:
            seen += [entry.fields["n"] for entry in follower.news()]
    seen += [entry.fields["n"] for entry in follower.news()]
    assert seen == list(range(12))


def test_logs_are_merged_by_time(tmp_path: Path) -> None:
    """Whatever file a line is in; the last ones are the last of all."""
    for number in range(6):
        with (tmp_path / f"{'ab'[number % 2]}.jsonl").open("ab") as file:
            file.write(line(number))
    found = Follower(tmp_path).news(4)
    assert [(entry.log, entry.fields["n"]) for entry in found] == [("a", 2), ("b", 3), ("a", 4), ("b", 5)]


def test_a_torn_line_is_passed_over(tmp_path: Path) -> None:
    """A full disk leaves halves; the end of the file may still be being written."""
    (tmp_path / "a.jsonl").write_bytes(line(1) + b'{"ts": \n[]\n' + line(2) + b'{"ts"')
    assert [entry.fields["n"] for entry in Follower(tmp_path).news()] == [1, 2]


def test_control_characters_are_harmless(tmp_path: Path) -> None:
    """What a caller put into a header does nothing to the terminal of who reads the log."""
    (tmp_path / "a.jsonl").write_bytes(b'{"ts": "t", "event": "request", "request_id": "a\\u001b[2J"}\n')
    (entry,) = Follower(tmp_path).news()
    assert "\x1b" not in entry.as_text()
    assert "a?[2J" in entry.as_text()
