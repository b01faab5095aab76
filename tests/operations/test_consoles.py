"""Every command on every console: nothing crashes, symbols degrade, a word stands beside each."""

from __future__ import annotations

import pytest

from lumen_conformance.processes.child_process import ChildProcess
from tests.operations.conftest import Desk

COMMANDS = {
    "diagnose": ("diagnose", "--no-start"),
    "dashboard": ("dashboard",),
    "status": ("status",),
    "logs": ("logs",),
    "check": ("check",),
    "config": ("config",),
    "help": ("--help",),
}
CONSOLES = {
    "cp949": {"PYTHONIOENCODING": "cp949"},
    "cp1252": {"PYTHONIOENCODING": "cp1252"},
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "no-colour": {"NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"},
}
SYMBOLS = {"cp949": "■", "cp1252": "x", "ascii": "x", "no-colour": "✗"}


def shown_on(console: str, data: bytes) -> str:
    """The bytes as that console reads them; a byte that it cannot read is an error."""
    return data.decode(CONSOLES[console]["PYTHONIOENCODING"])


def harmless(console: str, done: ChildProcess) -> str:
    """What it printed; no traceback, no colour."""
    out, err = done.stdout.read_bytes(), done.stderr.read_bytes()
    assert b"Traceback" not in out + err
    assert b"\x1b" not in out + err
    return shown_on(console, out) + shown_on(console, err)


@pytest.mark.parametrize("console", CONSOLES)
@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_crashes(desk: Desk, command: str, console: str) -> None:
    """On a pipe, in every encoding: a known status, no traceback, no colour, and text that the console can read."""
    done = desk.background(*COMMANDS[command], env=CONSOLES[console])
    assert done.wait_exit(30) in {0, 69}
    assert harmless(console, done) or command == "logs"


@pytest.mark.parametrize("console", ["cp949", "cp1252", "ascii"])
def test_nothing_crashes_while_it_runs(desk: Desk, console: str) -> None:
    """The same for what runs until it is stopped, and for what starts and stops it: they share one proxy in turn."""
    env = CONSOLES[console]
    serve = desk.background("serve", "--sandbox", env=env)
    desk.until_lines(serve, 1)
    demo, watch, logs = (desk.background(*words, env=env) for words in (["demo"], ["watch", "1"], ["logs", "-f"]))
    for child in (watch, logs):
        desk.until_lines(child, 2)
    assert demo.wait_exit(30) == 0
    assert demo.stdout.read_bytes().count(b"\n") == 8, "a line with Korean words or symbols is lost"
    for child in (logs, watch, serve):
        child.stop()
    assert [child.wait_exit(30) for child in (watch, serve)] == [0, 0]
    logs.wait_exit(30)  # by the signal itself: nothing has to be put in order
    ended = [serve, demo, watch, logs]
    for words in (["start", "--sandbox"], ["restart"], ["stop"]):
        ended.append(desk.background(*words, env=env))
        assert ended[-1].wait_exit(30) == 0
    assert all(harmless(console, child) for child in ended)


@pytest.mark.parametrize("console", CONSOLES)
def test_symbols_degrade_and_words_stay(desk: Desk, console: str) -> None:
    """The best symbol that the console has, and the word beside it."""
    done = desk.background("diagnose", "--no-start", env=CONSOLES[console])
    done.wait_exit(30)
    line = next(line for line in shown_on(console, done.stdout.read_bytes()).splitlines() if "Local proxy" in line)
    assert line.split()[:2] == [SYMBOLS[console], "DOWN"]


def test_nothing_is_read_from_a_missing_terminal(desk: Desk) -> None:
    """Without a terminal the dashboard prints lines: first a fixed one, then one a look."""
    watch = desk.background("dashboard", "--watch", "1", env={"PYTHONIOENCODING": "ascii"})
    desk.until_lines(watch, 3)
    watch.stop()
    assert watch.wait_exit(30) == 0
    lines = watch.stdout.read_text("ascii").splitlines()
    assert lines[0] == "lumen-proxy: watching 3 channels every 1 s; no alert destination configured"
    assert all(line.split(maxsplit=1)[1].startswith("DOWN: Local proxy | x DOWN Local proxy") for line in lines[1:])


@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
def test_a_reader_that_leaves_ends_the_watch(desk: Desk, unbuffered: str) -> None:
    """`dashboard --watch | head -1` ends by itself."""
    done = desk.pipe_to_nobody("dashboard", "--watch", "1", "--json", env={"PYTHONUNBUFFERED": unbuffered})
    assert done == 0
