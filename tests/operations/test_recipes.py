"""The recipes of the guide "judge your own server" work as written."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lumen_conformance.targets.launch import Launcher
from tests.fixtures.nested_pytest import inherited
from tests.fixtures.repository import ROOT
from tests.fixtures.suite_subprocess import RUN_BUDGET_S, SuiteRun

GUIDE = (ROOT / "docs" / "guide" / "recipes.md").read_text("utf-8")
FEW = ("C1.1", "E1.2", "C8.1")  # a plain answer, a stream, ids: enough to see that a launch works
ECHOED = "G2-forwarded-parts"  # judged only where there is a gateway
Judge = Callable[..., SuiteRun]

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the recipes are for a POSIX shell")


def recipe(title: str, language: str = "sh") -> str:
    """The code block of a recipe."""
    section = GUIDE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    (block,) = re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)
    return str(block)


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    """Run the command of a recipe, narrowed to some checks."""

    def run(command: str, *checks: str) -> SuiteRun:
        output = tmp_path / "output"
        narrowed = shlex.join(["--only", *(checks or FEW), "--output", str(output)])
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        environ = inherited() | {"PATH": path, "PYTEST_DEBUG_TEMPROOT": str(tmp_path)}
        done = subprocess.run(
            ["sh", "-c", f"{command.rstrip()} {narrowed}"], cwd=ROOT, env=environ, capture_output=True,
            encoding="utf-8", errors="replace", timeout=RUN_BUDGET_S, check=False,
        )  # fmt: skip
        verdicts = output / "verdicts.jsonl"
        lines = verdicts.read_text("utf-8").splitlines() if verdicts.exists() else []
        return SuiteRun(done.returncode, done.stdout + done.stderr, tuple(json.loads(line) for line in lines))

    return run


def is_green(ended: SuiteRun, *ids: str) -> None:
    """Each of these checks passed, and nothing failed."""
    assert (ended.status, ended.ids("failed", "error")) == (0, set()), ended.output
    assert set(ids) <= ended.ids("passed"), ended.output


def test_a_mock_server(judge: Judge) -> None:
    """A mock is judged, and what needs a gateway is skipped."""
    ended = judge(recipe("A mock server"), *FEW, ECHOED)
    is_green(ended, "C1.1", "E1.2", "C8.1")
    assert "the target does not declare: gateway" in ended.reasons("skipped")


def test_a_server_that_reads_its_environment(judge: Judge) -> None:
    """Variables tell the server its port, its gateway and its key."""
    is_green(judge(recipe("A server that reads its environment"), *FEW, ECHOED), "C1.1", "E1.2", ECHOED)


def test_a_server_that_reads_a_file(judge: Judge) -> None:
    """A script writes the file of each launch."""
    is_green(judge(recipe("A server that reads a file"), *FEW, ECHOED), "C1.1", "E1.2", ECHOED)


def test_script_that_writes_the_file() -> None:
    """The guide shows the script as it is."""
    script = ROOT / "tests" / "fixtures" / "recipes" / "start.sh"
    assert recipe("A server that reads a file", "text") == script.read_text("utf-8")


@pytest.mark.skipif(not shutil.which("npx"), reason="Node with npx is needed, and there is none on the PATH")
def test_a_node_server(judge: Judge) -> None:
    """The server behind npx is judged, and ends with its launch (A3)."""
    is_green(judge(recipe("A Node server by npx"), *FEW, "A3"), "C1.1", "E1.2", "A3")


def test_a_slow_starter(judge: Judge) -> None:
    """A server may start as slowly as the option allows, and not more slowly."""
    command = recipe("A slow starter")
    is_green(judge(command), "C1.1", "E1.2")
    ended = judge(command.replace("--start-timeout 300", "--start-timeout 0.5"))
    assert (ended.status, len(ended.ids("error")), ended.ids("passed", "failed")) == (1, 1, set()), ended.output


def test_a_model_by_url(judge: Judge, launch: Launcher, tmp_path: Path) -> None:
    """A server that runs already is judged; here a mock in the place of the model."""
    port = launch.reserve_port()
    mock = ROOT / "tests" / "fixtures" / "recipes" / "mock.py"
    with subprocess.Popen([sys.executable, str(mock), str(port)], cwd=tmp_path) as server:
        try:
            is_green(judge(recipe("A real model by URL").replace("8082", str(port))), "C1.1", "E1.2")
        finally:
            server.terminate()


def test_several_workers(judge: Judge) -> None:
    """A server whose workers share a port is judged, and no worker is left (A3)."""
    is_green(judge(recipe("A server with several workers"), *FEW, "A3"), "C1.1", "E1.2", "A3")
