"""Output that cannot be written: it never ends a proxy, and never looks like success."""

from __future__ import annotations

import os
import select
import subprocess
from pathlib import Path

import pytest

from lumen_conformance.waiting import until
from tests.operations.conftest import SOON_S, Desk

FULL = Path("/dev/full")
COMMANDS = {
    "status": ("status",),
    "ps": ("ps",),
    "config": ("config",),
    "check": ("check",),
    "diagnose": ("diagnose", "--no-start"),
    "start": ("start", "--sandbox"),
    "help": ("--help",),
    "watch": ("watch", "1"),
}
needs_full = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


def into(file: Path, desk: Desk, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command whose standard output is that file."""
    with file.open("w", encoding="utf-8") as out:
        command, env = [*desk.launch.target.tool, *desk.told(words)], desk.environ({"PYTHONUNBUFFERED": ""})
        return subprocess.run(
            command, env=env, stdout=out, stderr=subprocess.PIPE, text=True, timeout=SOON_S, check=False
        )


@needs_full
@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_lost_output_is_told(desk: Desk, words: tuple[str, ...]) -> None:
    """A full disk under standard output: 74, and a line on standard error that says why."""
    done = into(FULL, desk, *words)
    assert done.returncode == 74
    said = done.stderr.splitlines()[-1]
    assert said.startswith("lumen-proxy: standard output could not be written: No space left on device; ")


@needs_full
def test_a_proxy_serves_although_its_output_is_lost(desk: Desk) -> None:
    """`serve` on a full disk serves, and stops with 0."""
    with FULL.open("w", encoding="utf-8") as out:
        command, env = [*desk.launch.target.tool, "serve", "--sandbox"], desk.environ(None)
        with subprocess.Popen(command, env=env, stdout=out, stderr=subprocess.DEVNULL) as serve:
            try:
                until("serves", lambda: desk.run("status").exit_status == 0, within_s=SOON_S)
                serve.terminate()
                assert serve.wait(SOON_S) == 0
            finally:
                serve.kill()


def test_a_reader_that_has_enough_is_no_failure(desk: Desk) -> None:
    """`config | head -1` keeps its status."""
    assert desk.pipe_to_nobody("config", env={}) == 0


@pytest.mark.skipif(os.name == "nt", reason="a terminal there is closed by other means")
def test_a_terminal_that_is_closed_ends_the_dashboard(desk: Desk, tmp_path: Path) -> None:
    """As with Ctrl-C: 0, and no word."""
    ours, theirs = os.openpty()
    command, env = [*desk.launch.target.tool, "dashboard", "--watch", "1"], desk.environ({"TERM": "xterm"})
    with (tmp_path / "err").open("w+b") as err, subprocess.Popen(
        command, env=env, stdin=theirs, stdout=theirs, stderr=err, start_new_session=True
    ) as board:  # fmt: skip
        os.close(theirs)
        try:
            shown = b""
            while b"UP" not in shown and b"DOWN" not in shown and select.select([ours], [], [], SOON_S)[0]:
                shown += os.read(ours, 65_536)
            os.close(ours)
            assert board.wait(SOON_S) == 0
        finally:
            board.kill()
        err.seek(0)
        assert err.read() == b""
