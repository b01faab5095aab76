"""Commands on consoles with different encodings: no command fails, and each symbol has a fallback and a word."""

from __future__ import annotations

import pytest

from lumen_conformance.processes.child_process import ChildProcess
from tests.operations.conftest import Desk

COMMANDS = {
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
    """The bytes decoded as that console does; an invalid byte is an error."""
    return data.decode(CONSOLES[console]["PYTHONIOENCODING"])


def checked_output(console: str, done: ChildProcess) -> str:
    """The output, which must have no traceback and no colour."""
    out, err = done.stdout.read_bytes(), done.stderr.read_bytes()
    assert b"Traceback" not in out + err
    assert b"\x1b" not in out + err
    return shown_on(console, out) + shown_on(console, err)


@pytest.mark.parametrize("console", CONSOLES)
@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_crashes(desk: Desk, command: str, console: str) -> None:
    """In a pipe, with each encoding, a command has a documented exit status, no traceback and valid text."""
    done = desk.background(*COMMANDS[command], env=CONSOLES[console])
    assert done.wait_exit(30) in {0, 69}
    assert checked_output(console, done) or command == "logs"


@pytest.mark.parametrize("console", ["cp949", "cp1252", "ascii"])
def test_nothing_crashes_while_it_runs(desk: Desk, console: str) -> None:
    """The same holds for commands that run until they are stopped, and for start, restart and stop."""
    env = CONSOLES[console]
    serve = desk.background("serve", "--sandbox", env=env)
    desk.until_lines(serve, 1)
    demo, watch, logs = (desk.background(*command, env=env) for command in (["demo"], ["watch", "1"], ["logs", "-f"]))
    for child in (watch, logs):
        desk.until_lines(child, 2)
    assert demo.wait_exit(30) == 0
    assert demo.stdout.read_bytes().count(b"\n") == 8, "a line with Korean words or symbols is lost"
    for child in (logs, watch, serve):
        child.stop()
    assert [child.wait_exit(30) for child in (watch, serve)] == [0, 0]
    logs.wait_exit(30)  # ended by the signal itself: there is nothing to restore
    ended = [serve, demo, watch, logs]
    for command in (["start", "--sandbox"], ["restart"], ["stop"]):
        ended.append(desk.background(*command, env=env))
        assert ended[-1].wait_exit(30) == 0
    assert all(checked_output(console, child) for child in ended)


@pytest.mark.parametrize("console", CONSOLES)
def test_symbols_have_fallbacks(desk: Desk, console: str) -> None:
    """The best symbol that the console can encode is shown, and the word beside it."""
    done = desk.background("diagnose", "--no-start", env=CONSOLES[console])
    assert done.wait_exit(30) == 69
    line = next(line for line in checked_output(console, done).splitlines() if "Local proxy" in line)
    assert line.split()[:2] == [SYMBOLS[console], "DOWN"]


def test_nothing_is_read_from_a_missing_terminal(desk: Desk) -> None:
    """Without a terminal the dashboard prints lines: first a fixed one, then one for each refresh."""
    watch = desk.background("dashboard", "--watch", "1", env={"PYTHONIOENCODING": "ascii"})
    desk.until_lines(watch, 3)
    watch.stop()
    assert watch.wait_exit(30) == 0
    lines = watch.stdout.read_text("ascii").splitlines()
    assert lines[0] == "lumen-proxy: watching 3 channels every 1 s; no alert destination configured"
    assert all(line.split(maxsplit=1)[1].startswith("DOWN: Local proxy | x DOWN Local proxy") for line in lines[1:])


@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
def test_a_closed_pipe_ends_the_dashboard(desk: Desk, unbuffered: str) -> None:
    """`dashboard --watch | head -1` ends by itself."""
    done = desk.run_with_closed_pipe("dashboard", "--watch", "1", "--json", env={"PYTHONUNBUFFERED": unbuffered})
    assert done == 0
