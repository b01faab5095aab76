"""A folder full of files that are named like modules: every command works there, and imports none of them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from lumen_conformance.gateway.replies import respond_with
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http.client import call
from lumen_conformance.processes import shadow_modules
from lumen_conformance.waiting import until
from tests.operations.conftest import SOON_S, Desk

INSTALLED = (str(Path(sys.executable).with_name("lumen-proxy")),)
MODULE = (sys.executable, "-m", "lumen_proxy")
DEATHS_OF_A_CRASH_LOOP = 3
LATE = ("random", "queue", "secrets", "flask/", "psutil", "socketserver")
"""Imported by code of ours only: what Python itself imports before that is found through PYTHONPATH."""


class Shell:
    """A person in a folder that is full of such files."""

    def __init__(self, desk: Desk, program: Sequence[str], folder: Path, **environ: str) -> None:
        self.program = program
        self.folder = folder
        self.url = f"http://127.0.0.1:{desk.port}"
        self._environ = {**desk.environ({}), **environ}

    def run(self, *words: str) -> str:
        """Type a command that must succeed; return what it prints."""
        done = subprocess.run(
            [*self.program, *words],
            cwd=self.folder, env=self._environ, capture_output=True, encoding="utf-8", timeout=SOON_S, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}{shadow_modules.find_imported(self.folder)}"
        return done.stdout

    def chat(self) -> str:
        """Ask something; return the answer."""
        asked = {"model": "lumen-gateway", "messages": [{"role": "user", "content": "hello"}]}
        answer = call(self.url, "POST", "/v1/chat/completions", json=asked, timeout_s=SOON_S).json()
        return str(answer["choices"][0]["message"]["content"])

    def kill_worker(self, generation: int) -> None:
        """Kill the worker of this generation as soon as it serves."""

        def pid() -> int:
            answer = call(self.url, "GET", "/health")
            health = answer.json() if answer.status == 200 else {}
            return int(health["pid"]) if health.get("generation") == generation else 0

        psutil.Process(until(f"generation {generation} serves", pid, within_s=SOON_S)).kill()


@pytest.fixture
def receiver() -> Iterator[ScriptedGateway]:
    """A webhook of this machine."""
    with ScriptedGateway(respond_with(b"ok", media_type="text/plain")) as opened:
        yield opened


@pytest.mark.parametrize(
    ("program", "names"),
    [
        (INSTALLED, shadow_modules.every_name()),
        (MODULE, shadow_modules.every_name() - shadow_modules.LOOKED_FOR_BY_PYTHON),
    ],
    ids=["installed", "module"],
)
def test_nothing_of_the_current_folder_is_imported(
    desk: Desk, receiver: ScriptedGateway, program: Sequence[str], names: frozenset[str], tmp_path: Path
) -> None:
    """Start, chat, kill, recovery, alert, restart, check, diagnose, sandbox: all work and import no planted file."""
    folder = tmp_path / "shadows"
    folder.mkdir()
    shell = Shell(desk, program, folder, LUMEN_WEBHOOK_URL=f"{receiver.url}/hook", LUMEN_RESTART_BACKOFF_S="0")
    shell.run("start")
    shadow_modules.write_modules(folder, names)  # while it runs, too: what it imports later must not come from here
    assert "hello" in shell.chat()
    for generation in range(1, DEATHS_OF_A_CRASH_LOOP + 1):
        shell.kill_worker(generation)
    assert "hello" in shell.chat()
    until("the alert is delivered", lambda: receiver.calls, within_s=SOON_S)
    assert json.loads(receiver.calls[0].body)["event"] == "crash_loop"
    shell.run("restart")
    assert "hello" in shell.chat()
    for words in ("status", "check", "diagnose", "dashboard", "logs", "config", "stop"):
        shell.run(words)
    shell.run("start", "--sandbox")
    assert "hello" in shell.chat()
    shell.run("stop")
    assert shadow_modules.find_imported(folder) == ()


@pytest.mark.parametrize("entry", ["", "."], ids=["empty", "dot"])
def test_a_relative_entry_of_the_python_path_is_dropped(desk: Desk, entry: str, tmp_path: Path) -> None:
    """An entry of PYTHONPATH that means the current folder reaches neither the commands nor what they start."""
    folder = tmp_path / "shadows"
    folder.mkdir()
    shadow_modules.write_modules(folder, LATE)
    shell = Shell(desk, INSTALLED, folder, PYTHONPATH=f"{desk.environ({})['PYTHONPATH']}:{entry}")
    shell.run("start", "--sandbox")
    shell.kill_worker(1)
    assert "hello" in shell.chat()
    shell.run("diagnose")
    shell.run("stop")
    assert shadow_modules.find_imported(folder) == ()
