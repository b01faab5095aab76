"""The dashboard in a real terminal of 80 x 24: its screen, its keys and its end."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lumen_conformance.processes.process_tree import find_tagged
from lumen_conformance.run import TAG, Run
from lumen_conformance.targets.target import merge
from lumen_conformance.waiting import WaitTimeoutError, until
from tests.operations.conftest import Desk

SOON_S = 30.0
TMUX = shutil.which("tmux")
needs_tmux = pytest.mark.skipif(TMUX is None, reason="tmux is not installed: no terminal to look at")


class TmuxTerminal:
    """A terminal of 80 x 24 in which a shell runs."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        self._tmux = [str(TMUX), "-f", os.devnull, "-S", str(folder / "tmux")]
        self._environ = environ | {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "PS1": "$ "}
        self._run("new-session", "-d", "-x", "80", "-y", "24", "bash --norc --noprofile")

    def _run(self, *arguments: str) -> str:
        command = [*self._tmux, *arguments]
        done = subprocess.run(command, env=self._environ, capture_output=True, encoding="utf-8", timeout=20, check=True)
        return done.stdout

    def type(self, *keys: str) -> None:
        """Press keys; tmux knows some by name, such as Enter."""
        self._run("send-keys", *keys)

    def resize(self, width: int, height: int) -> None:
        """Give the terminal another size."""
        self._run("resize-window", "-x", str(width), "-y", str(height))

    def screen(self) -> str:
        """The text on the screen."""
        return self._run("capture-pane", "-p")

    def until(self, *texts: str) -> str:
        """Wait until all texts are on the screen; return the screen."""
        try:
            until(f"{texts} on the screen", lambda: all(text in self.screen() for text in texts), within_s=SOON_S)
        except WaitTimeoutError as overdue:
            overdue.add_note(self.screen())
            raise
        return self.screen()

    def until_not(self, before: str) -> str:
        """Wait until the screen has changed; return it."""
        until("another screen", lambda: self.screen() != before, within_s=SOON_S)
        return self.screen()

    def close(self) -> None:
        """End the terminal and its processes."""
        self._run("kill-server")


@pytest.fixture
def terminal(desk: Desk, run: Run, tmp_path: Path) -> Iterator[TmuxTerminal]:
    """A terminal with the settings of the desk."""
    target = desk.launch.target
    environ = merge(os.environ, target.environ(tmp_path / "files", desk.gateway.url), desk.env)
    tag = run.open_tag("terminal")
    one = TmuxTerminal(tmp_path, environ | {TAG: tag})
    yield one
    one.close()
    until("its processes have ended", lambda: not find_tagged(tag), within_s=SOON_S)  # tmux does not wait for them
    run.close_tag(tag)


DASHBOARD = shlex.join((sys.executable, "-m", "lumen_proxy", "dashboard", "--watch", "1"))
COMMAND = f"{DASHBOARD}; echo status $?"


@needs_tmux
def test_keys_do_what_the_menu_says(desk: Desk, terminal: TmuxTerminal) -> None:
    """The keys start, show help, diagnose, stop after a confirmation and quit; then the screen is restored."""
    terminal.type(COMMAND, "Enter")
    terminal.until("DOWN   Local proxy", "[s] start")
    terminal.type("s")
    shown = terminal.until("ALL GREEN", "breaker closed")
    assert len(shown.splitlines()) == 24
    assert all(word in shown for word in ("UP     Local proxy", "UP     Cloud AI", "UP     Lumen Gateway", " ms "))
    terminal.type("h")
    terminal.until("this help", "any key: back")
    terminal.type("h")
    terminal.type("d")
    shown = terminal.until("Lumen diagnosis", "/ready -> 200")
    while "next page" in shown:
        terminal.type("Space")
        shown = terminal.until_not(shown)
    assert "Verdict: ALL GREEN" in shown
    terminal.type("Space")
    terminal.until("[s] start")
    terminal.type("x")
    terminal.until("Stop the proxy")
    terminal.type("n")
    assert json.loads(desk.run("status", "--json").stdout)["condition"] == "running"
    terminal.type("x")
    terminal.until("Stop the proxy")
    terminal.type("y")
    terminal.until("stopped: port", "DOWN   Local proxy")
    terminal.type("q")
    assert "[s] start" not in terminal.until("status 0")


@needs_tmux
def test_keys_that_end_or_stop_a_program_do_nothing(terminal: TmuxTerminal) -> None:
    """Ctrl-backslash and Ctrl-Z have no effect: they would leave the terminal unrestored."""
    terminal.type(COMMAND, "Enter")
    terminal.until("DOWN   Local proxy", "[s] start")
    terminal.type("C-\\", "C-z", "h")
    terminal.until("this help")
    terminal.type("b", "q")
    assert "[s] start" not in terminal.until("status 0")


@needs_tmux
def test_a_failed_alert_is_shown_on_the_screen(desk: Desk, terminal: TmuxTerminal) -> None:
    """The screen shows that an alert was not delivered, because it covers standard error."""
    terminal.type(f"SLACK_WEBHOOK_URL={desk.cloud_ai.url}/no-such-hook {COMMAND}", "Enter")
    terminal.until("alert not delivered to Slack: 404", "[s] start")
    terminal.type("q")
    terminal.until("status 0")


@needs_tmux
@pytest.mark.parametrize("console", ["cp949", "ascii"])
def test_symbols_have_fallbacks(terminal: TmuxTerminal, console: str) -> None:
    """A console that cannot encode the symbols shows the same words."""
    terminal.type(f"PYTHONIOENCODING={console} {COMMAND}", "Enter")
    shown = terminal.until("DOWN   Local proxy", "UP     Cloud AI")
    assert "🔴" not in shown


@needs_tmux
@pytest.mark.parametrize("how", ["C-c", "SIGTERM", "exception"])
def test_the_terminal_is_restored(desk: Desk, terminal: TmuxTerminal, how: str) -> None:
    """After Ctrl-C, a stop signal or an internal error the screen, the cursor and the echo are restored."""
    fault = "import sys; sys.argv[1:] = ['dashboard', '--watch', '1']; import lumen_proxy.monitor.dashboard as d; "
    fault += "d.Dashboard.press = lambda *_: 1 / 0; from lumen_proxy.cli.main import main; sys.exit(main())"
    command = shlex.join((sys.executable, "-c", fault)) if how == "exception" else DASHBOARD
    command_with_pid = f"(echo $BASHPID > {shlex.quote(str(desk.folder / 'pid'))}; exec {command})"
    terminal.type(f"{command_with_pid}; echo status $?", "Enter")
    terminal.until("DOWN   Local proxy", "[q] quit")
    if how == "SIGTERM":
        os.kill(int((desk.folder / "pid").read_text()), signal.SIGTERM)
    else:
        terminal.type("C-c" if how == "C-c" else "k")
    status = "status 70" if how == "exception" else "status 0"
    assert "[q] quit" not in terminal.until(status)
    terminal.type("stty -a | grep -o ' echo ' && tput cnorm && echo 'echoed'", "Enter")
    terminal.until("\nechoed")


def test_one_refresh_is_plain_text(desk: Desk) -> None:
    """Without --watch the dashboard prints plain text once and ends with 69 if a channel is down."""
    done = desk.run("dashboard")
    assert done.exit_status == 69
    assert done.stdout.startswith("Verdict: DOWN: Local proxy\n")
    assert "\x1b" not in done.stdout


def test_plain_text_is_not_clipped(desk: Desk) -> None:
    """Without --watch each line is complete, whatever its length."""
    long = {"CLOUD_AI_URL": f"http://127.0.0.1:9/{'long/' * 30}chat", "LUMEN_FALLBACK": "cloud_ai", "COLUMNS": "80"}
    done = desk.run("dashboard", env=long)
    assert f"GET {long['CLOUD_AI_URL']} -> refused)" in done.stdout
    assert f"next: lumen-proxy start --port {desk.port}\n" in done.stdout


def test_cloud_ai_does_not_count_where_nothing_uses_it(desk: Desk) -> None:
    """Without LUMEN_FALLBACK a failure of Cloud AI is a remark and the exit status is 0."""
    desk.run("start")
    desk.cloud_ai.down()
    found = {command: desk.run(*command.split()) for command in ("dashboard", "diagnose --no-start")}
    assert [done.exit_status for done in found.values()] == [0, 0]
    assert all("GREEN; down but not used: Cloud AI" in done.stdout for done in found.values())
    counts = {"LUMEN_FALLBACK": "cloud_ai"}
    assert desk.run("restart", env=counts).exit_status == 0
    assert desk.run("dashboard", env=counts).exit_status == 69


@needs_tmux
@pytest.mark.parametrize(("width", "height"), [(80, 24), (40, 12), (120, 10), (20, 5), (200, 60)])
def test_the_verdict_is_in_the_first_line_of_a_terminal(terminal: TmuxTerminal, width: int, height: int) -> None:
    """The first line is the verdict at each size, also after the size has changed."""
    terminal.resize(width, height)
    terminal.type(COMMAND, "Enter")
    terminal.until("DOWN   Local")
    assert terminal.screen().splitlines()[0].startswith("Verdict: DOWN: Loca")


def test_json_is_one_object_per_refresh(desk: Desk) -> None:
    """With --watch --json standard output has one JSON object per refresh and nothing else."""
    watch = desk.background("dashboard", "--watch", "1", "--json")
    desk.until_lines(watch, 2)
    watch.stop()
    assert watch.wait_exit(SOON_S) == 0
    looks = [json.loads(line) for line in watch.stdout.read_text("utf-8").splitlines()]
    assert [channel["channel"] for channel in looks[0]["channels"]] == ["proxy", "cloud_ai", "gateway"]
