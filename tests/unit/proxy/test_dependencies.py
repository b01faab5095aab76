"""The table of dependencies: versions as in pyproject.toml, and one line for all that are missing."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from lumen_conformance.inject import lumen_guard
from lumen_conformance.stages import virtual_environments
from lumen_conformance.targets.launch import Launcher
from lumen_proxy import dependencies
from lumen_proxy.cli import main as cli
from lumen_proxy.health import preflight

ROOT = Path(__file__).parents[3]
LOOK_S = 30.0  # the start of four Python processes takes 0.5 s here
BY_NAME = {one.name: one for one in dependencies.DEPENDENCIES}


def test_the_table_is_that_of_the_package() -> None:
    """Dependencies, their versions and the oldest Python are the same in pyproject.toml and in the code."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert sorted(one.requirement for one in dependencies.DEPENDENCIES) == sorted(project["dependencies"])
    assert project["requires-python"] == f">={'.'.join(map(str, preflight.OLDEST))}"


@pytest.mark.parametrize(
    ("name", "version", "supported"),
    [
        ("flask", "3.0.0", True),
        ("flask", "3.1.3.post1", True),
        ("flask", "2.99", False),
        ("flask", "4.0.0", False),
        ("flask", "unknown", False),
        ("requests", "2.31", True),
        ("requests", "2.31.0", True),
        ("requests", "2.30.9", False),
        ("requests", "2.100.0", True),
        ("requests", "3.0.0rc1", False),
        ("psutil", "99", True),
        ("psutil", "6.9", False),
    ],
)
def test_versions_are_compared_as_numbers(name: str, version: str, supported: bool) -> None:  # noqa: FBT001
    """2.100 is after 2.31, a release candidate of 3 is not 2, and a range may have no end."""
    assert BY_NAME[name].supports(version) is supported


@pytest.mark.parametrize("module", dependencies.BY_MODULE)
def test_serving_without_a_module_is_69(
    module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """For each declared module, a start names it and the pip command, without a traceback."""
    for variable in ("LUMEN_STATE_DIR", "LUMEN_LOG_DIR"):
        monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.setitem(sys.modules, module, None)
    assert cli.main(["serve"]) == 69
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"lumen-proxy: the module {module} is missing; install it: ")
    assert line.endswith(f'-m pip install "{dependencies.BY_MODULE[module].requirement}"')


def test_check_and_start_name_the_same_command(launch: Launcher, tmp_path: Path) -> None:
    """`check` and `start` end with 69, and `start` prints the command of `check` in one line."""
    folder = virtual_environments.create_healthy(tmp_path / "venv")
    virtual_environments.DAMAGES["only-requests"](folder)
    tool = (str(virtual_environments.interpreter(folder)), "-m", "lumen_proxy")
    checked = launch.run("check", tool=tool)
    started = launch.run("start", "--port", "1", tool=tool)
    assert (checked.exit_status, started.exit_status) == (69, 69)
    (command,) = [line.split("install: ")[1] for line in checked.stdout.splitlines() if "install: " in line]
    (line,) = started.stderr.splitlines()
    assert line.endswith(f" them: {command}")


def test_an_uninstalled_package_starts_nothing(tmp_path: Path) -> None:
    """In its source folder, where a child process does not find it, `check` works and a start is one line with 69."""
    folder = virtual_environments.create_healthy(tmp_path / "venv")
    files = {"LUMEN_STATE_DIR": str(tmp_path), "LUMEN_LOG_DIR": str(tmp_path), "PYTHONPATH": lumen_guard.HERE}
    for command, status in (("check",), 0), (("serve",), 69), (("start",), 69):
        done = subprocess.run(
            [virtual_environments.interpreter(folder), "-m", "lumen_proxy", *command],
            cwd=ROOT, env=os.environ | files, capture_output=True, encoding="utf-8", timeout=LOOK_S, check=False,
        )  # fmt: skip
        assert done.returncode == status, done.stderr
        if status:
            (line,) = done.stderr.splitlines()
            assert "not installed for this Python" in line
            assert f'-m pip install "{ROOT}"' in line
