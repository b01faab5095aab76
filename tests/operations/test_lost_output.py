"""Output that cannot be written: a command reports it, and a proxy continues."""

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


def run_into(file: Path, desk: Desk, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command with its standard output redirected to the file."""
    with file.open("w", encoding="utf-8") as out:
        command, env = [*desk.launch.target.tool, *desk.complete(arguments)], desk.environ({"PYTHONUNBUFFERED": ""})
        return subprocess.run(
            command, env=env, stdout=out, stderr=subprocess.PIPE, text=True, timeout=SOON_S, check=False
        )


@needs_full
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_lost_output_is_reported(desk: Desk, command: tuple[str, ...]) -> None:
    """If standard output cannot be written, a command ends with 74 and one line with the reason."""
    done = run_into(FULL, desk, *command)
    assert done.returncode == 74
    said = done.stderr.splitlines()[-1]
    assert said.startswith("lumen-proxy: cannot write standard output: No space left on device; ")


@needs_full
def test_a_proxy_serves_although_its_output_is_lost(desk: Desk) -> None:
    """`serve` with a full disk as standard output serves, and ends with 0."""
    with FULL.open("w", encoding="utf-8") as out:
        command, env = [*desk.launch.target.tool, "serve", "--sandbox"], desk.environ(None)
        with subprocess.Popen(command, env=env, stdout=out, stderr=subprocess.DEVNULL) as serve:
            try:
                until("serves", lambda: desk.run("status").exit_status == 0, within_s=SOON_S)
                serve.terminate()
                assert serve.wait(SOON_S) == 0
            finally:
                serve.kill()


def test_a_closed_pipe_is_no_failure(desk: Desk) -> None:
    """`config | head -1` keeps its exit status."""
    assert desk.run_with_closed_pipe("config", env={}) == 0


@pytest.mark.skipif(os.name == "nt", reason="a terminal there is closed by other means")
def test_a_terminal_that_is_closed_ends_the_dashboard(desk: Desk, tmp_path: Path) -> None:
    """The dashboard ends with 0 and without output when its terminal is closed."""
    controller, terminal = os.openpty()
    command, env = [*desk.launch.target.tool, "dashboard", "--watch", "1"], desk.environ({"TERM": "xterm"})
    with (tmp_path / "err").open("w+b") as err, subprocess.Popen(
        command, env=env, stdin=terminal, stdout=terminal, stderr=err, start_new_session=True
    ) as board:  # fmt: skip
        os.close(terminal)
        try:
            shown = b""
            while b"UP" not in shown and b"DOWN" not in shown and select.select([controller], [], [], SOON_S)[0]:
                shown += os.read(controller, 65_536)
            os.close(controller)
            assert board.wait(SOON_S) == 0
        finally:
            board.kill()
        err.seek(0)
        assert err.read() == b""
