"""Run pytest with the plugin of the suite in a process of its own, for tests of the suite."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.fixtures.forked_pytest import LEAN, run_pytest
from tests.fixtures.nested_pytest import RUN_BUDGET_S

ROOT = Path(__file__).resolve().parents[3]
OPTIONS = (*LEAN, "-p", "lumen_conformance.plugin", "-p", "no:randomly", "-p", "no:html")


class PluginRun:
    """Runs a small module with the plugin; ``tally`` is a file to which its tests write lines."""

    def __init__(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tally = pytester.mkdir("own") / "tally"  # not beside the module, where a file is a leak
        monkeypatch.setenv("TALLY", str(self.tally))
        monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
        self._pytester = pytester

    def run(self, suite: str, *options: str) -> pytest.RunResult:
        """Run this one module; both outputs are one text."""
        folder, start_s = self._pytester.makepyfile(suite).parent, time.monotonic()
        options = (*OPTIONS, *options, f"--basetemp={folder / 'temporary'}")
        ended = run_pytest(options, folder, os.environ, RUN_BUDGET_S)
        lines = ended.output.decode("utf-8", "replace").splitlines()
        return pytest.RunResult(ended.status, lines, [], time.monotonic() - start_s)

    def write_conftest(self, text: str) -> None:
        """Write the conftest.py of the suite."""
        self._pytester.makeconftest(text)

    def start(self, suite: str, *options: str, **environ: str) -> subprocess.Popen[bytes]:
        """Start a run of this one module, without its output; NESTED_COMMAND is its command without these options."""
        folder = self._pytester.makepyfile(suite).parent
        command = [sys.executable, "-m", "pytest", *OPTIONS]
        environ = {**os.environ, "NESTED_COMMAND": json.dumps(command), **environ}
        options = (*options, f"--basetemp={folder / 'temporary'}")
        return subprocess.Popen([*command, *options], cwd=folder, env=environ, stdout=subprocess.DEVNULL)

    def lines(self) -> list[str]:
        """What the suite has written."""
        return self.tally.read_text("utf-8").splitlines() if self.tally.exists() else []
