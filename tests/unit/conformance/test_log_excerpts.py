"""The page shows the ends of the logs of a run: no secret, no file of somebody else, and a bounded number of bytes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lumen_conformance.registry.redaction import MASK, Redactor
from lumen_conformance.report.log_excerpts import LARGEST_TAIL_BYTES, MASKED_BYTES, MOST_LOGS, read_logs
from lumen_conformance.report.log_lines import LINES_BEFORE, MOST_LINES, lines_in

KEY = "k3y-of-the-run-which-is-long"
LINES = "-----BEGIN KEY-----\n" + "MIIEvQIBADANBgkqhkiG9w0\n" * 20
POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows has no FIFO, and no sparse file or link for everybody")
MASKS = Redactor([KEY, LINES])


def read(path: Path, content: bytes) -> tuple[str, int]:
    """Write a log and read its excerpt."""
    path.write_bytes(content)
    [found] = read_logs([str(path)], MASKS)
    return found.text, found.cut_bytes


@pytest.mark.parametrize("end", ["\nthe end of the log\n" * 1_000, "x" * LARGEST_TAIL_BYTES], ids=["lines", "one line"])
@pytest.mark.parametrize("visible", [1, 6, 20, 27])
@pytest.mark.parametrize("limit", [LARGEST_TAIL_BYTES, LARGEST_TAIL_BYTES + MASKED_BYTES], ids=["cut", "read"])
def test_a_secret_at_the_cut_is_masked(tmp_path: Path, limit: int, visible: int, end: str) -> None:
    """No end of a secret is left that begins before what is shown, or before what is read."""
    shown = (KEY[-visible:] + end).ljust(limit, ".")
    text, _ = read(tmp_path / "server.log", (f"begin {KEY[:-visible]}{shown}").encode())
    assert KEY[-6:] not in text
    assert text


@pytest.mark.parametrize("place", [LARGEST_TAIL_BYTES - 200, LARGEST_TAIL_BYTES + MASKED_BYTES - 200])
def test_a_secret_of_many_lines_is_masked(tmp_path: Path, place: int) -> None:
    """A key with many lines that is cut anywhere has none of them on the page."""
    content = b"begin\n" + LINES.encode() + b"end of it\n" + b"." * (place - len(LINES) // 2)
    text, _ = read(tmp_path / "server.log", content)
    assert "MIIE" not in text


@pytest.mark.parametrize("before", range(6))
def test_a_header_at_the_cut_is_masked(tmp_path: Path, before: int) -> None:
    """What only the beginning of its line shows to be secret is masked, too."""
    end = "d-in-a-header\n" + "." * (LARGEST_TAIL_BYTES - 14 - before)
    text, _ = read(tmp_path / "server.log", f"{'-' * 99}\nAuthorization: Bearer unname{end}".encode())
    assert "in-a-header" not in text


@POSIX
def test_only_the_end_is_read(tmp_path: Path) -> None:
    """A log of many gigabytes costs no more memory than another."""
    path = tmp_path / "server.log"
    with path.open("wb") as file:
        file.seek(5_000_000_000)  # a hole, which needs no place on the disk
        file.write(b"\nthe end\n")
    [found] = read_logs([str(path)], MASKS)
    assert found.text.endswith("the end")
    assert found.cut_bytes == 5_000_000_009 - LARGEST_TAIL_BYTES


def test_a_cut_text_is_readable(tmp_path: Path) -> None:
    """The excerpt of a long log begins with a whole line."""
    line = "안녕하세요, the line\n".encode()
    text, cut_bytes = read(tmp_path / "server.log", line * 3_000)
    assert set(text.splitlines()) == {"안녕하세요, the line"}
    assert cut_bytes == 3_000 * len(line) - LARGEST_TAIL_BYTES


@POSIX
def test_no_link_is_followed(tmp_path: Path) -> None:
    """A server may link to any file of its user, by either kind of link; neither is on the page."""
    (tmp_path / "home").mkdir()
    secret = tmp_path / "home" / ".netrc"
    secret.write_text("password", "utf-8")
    stage = tmp_path / "stage"
    stage.mkdir()
    (stage / "own.log").write_text("a line", "utf-8")
    (stage / "symbolic.log").symlink_to(secret)
    (stage / "folder").symlink_to(tmp_path / "home")
    os.link(secret, stage / "hard.log")
    secret.with_name("deep.log").write_text("password", "utf-8")
    (tmp_path / "linked.log").symlink_to(secret)
    found = read_logs([str(stage), str(tmp_path / "linked.log")], MASKS)
    assert [(each.name.rpartition("/")[2], each.text) for each in found] == [("own.log", "a line")]


@POSIX
def test_a_pipe_is_no_log(tmp_path: Path) -> None:
    """Nothing is read that would wait for a writer."""
    os.mkfifo(tmp_path / "server.log")
    assert read_logs([str(tmp_path)], MASKS) == []


def test_many_logs_are_left_out(tmp_path: Path) -> None:
    """A stage shows its first logs, those near its own folder first, and the number of the others."""
    (tmp_path / "deep").mkdir()
    for number in range(MOST_LOGS):
        (tmp_path / "deep" / f"{number:03}.log").write_text("a line", "utf-8")
    (tmp_path / "server.log").write_text("its own", "utf-8")
    (tmp_path / "empty.log").touch()
    found = read_logs([str(tmp_path)], MASKS)
    assert len(found) == MOST_LOGS + 1
    assert found[0].text == "its own"
    assert (found[-1].name, found[-1].text) == (f"{tmp_path.name}: 1 more", "They are in the folder of the evidence.")


def test_known_values_are_masked(tmp_path: Path) -> None:
    """A short log is shown whole, with its secrets masked."""
    assert read(tmp_path / "server.log", f"key {KEY}.".encode()) == (f"key {MASK}.", 0)


BEGIN_S = 1_000.0


def write_stage(folder: Path, *, hung_s: float) -> None:
    """Write a stage whose worker writes a line in each millisecond and hangs at a time; another one writes on."""
    record = {"stage": "a.b", "evidence": None, "began_mono_s": BEGIN_S, "ended_mono_s": BEGIN_S + 60, "clock_s": 0.0}
    (folder / "record.json").write_text(json.dumps(record | {"log_sizes": [{"at_mono_s": 1.0, "bytes": {}}]}), "utf-8")
    hung = {"event": "worker_hung", "mono": BEGIN_S + hung_s, "instance": "a", "pid": 11}
    (folder / "journal.jsonl").write_text(f"{json.dumps(hung)}\n", "utf-8")
    lines = (json.dumps({"mono": BEGIN_S + n / 1_000, "n": n, "key": KEY}) for n in range(5_000))
    (folder / "worker.jsonl").write_text("".join(f"{line}\n" for line in lines), "utf-8")


def test_the_last_lines_of_a_worker_that_hung_are_shown(tmp_path: Path) -> None:
    """Workers share a file: what the first one wrote last is there, although the end of the file is of another."""
    write_stage(tmp_path, hung_s=2.0)
    (found,) = (each for each in read_logs([str(tmp_path)], MASKS) if each.name.endswith("worker.jsonl"))
    lines = found.text.split("\n")
    numbers = [json.loads(line)["n"] for line in lines[1 : LINES_BEFORE + 1]]
    assert numbers == list(range(2_001 - LINES_BEFORE, 2_002)[-LINES_BEFORE:])
    assert lines[0] == f"… {numbers[0]} lines …"
    assert (found.early, len(found.written)) == (LINES_BEFORE + 2, len(lines))
    assert KEY not in found.text
    shown = lines_in(found.name, found.written, [(BEGIN_S, BEGIN_S + 9, ())], found.early)
    assert shown[0] == (1, LINES_BEFORE)
    assert sum(last - first + 1 for first, last in shown) == MOST_LINES


def test_a_worker_that_hung_at_the_end_needs_no_other_lines(tmp_path: Path) -> None:
    """Its lines are in the end of the file anyway."""
    write_stage(tmp_path, hung_s=4.999)
    (found,) = (each for each in read_logs([str(tmp_path)], MASKS) if each.name.endswith("worker.jsonl"))
    assert '"n": 4999' in found.text
    assert found.early == 0
