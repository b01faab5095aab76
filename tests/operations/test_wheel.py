"""The wheel, unpacked in an empty folder: the command judges a server without the repository and without a network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lumen_conformance.inject import lumen_guard
from tests.fixtures.nested_pytest import inherited
from tests.fixtures.network_namespace import isolate_command
from tests.fixtures.repository import copy_tracked_files

BUILD_BUDGET_S = 120.0  # three seconds alone; the rest is for a busy machine
RUN_BUDGET_S = 240.0  # ten seconds alone; the same
SERVER = f"'{sys.executable}' -m lumen_conformance.examples.forwarder {{host}} {{port}} {{gateway_url}}"


@dataclass(frozen=True)
class Installed:
    """The unpacked wheel, and an empty folder to work in."""

    packages: Path
    folder: Path

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``lumen-conformance`` off the network. Only the wheel and the installed dependencies can be imported."""
        command = [sys.executable, "-P", "-m", "lumen_conformance", *arguments]
        paths = os.pathsep.join([lumen_guard.HERE, str(self.packages)])
        environ = {**inherited(), "PYTHONPATH": paths, "PYTHONUTF8": "1"}
        return subprocess.run(
            isolate_command(command), cwd=self.folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            encoding="utf-8", timeout=RUN_BUDGET_S, check=False,
        )  # fmt: skip

    def verdicts(self, output: str) -> dict[str, str]:
        """The outcome of each check and parameter."""
        lines = (self.folder / output / "verdicts.jsonl").read_text("utf-8").splitlines()
        found: list[Mapping[str, Any]] = [json.loads(line) for line in lines]
        return {f"{each['id']} {each['param'] or ''}": each["outcome"] for each in found}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Build the wheel from a copy of the tracked files, and unpack it."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    copy_tracked_files(source)
    code = f"from setuptools import build_meta; build_meta.build_wheel({str(folder)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=source, timeout=BUILD_BUDGET_S, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "packages")
    (folder / "empty").mkdir()
    return Installed(folder / "packages", folder / "empty")


def test_the_wheel_has_no_package_of_tests(installed: Installed) -> None:
    """Both products and their metadata are in the wheel, and nothing else."""
    names = {path.name for path in installed.packages.iterdir() if path.suffix != ".dist-info"}
    assert names == {"lumen_conformance", "lumen_proxy"}


def test_list(installed: Installed) -> None:
    """The checks are listed with all that is known of them."""
    done = installed.run("list", "--json")
    assert done.returncode == 0, done.stdout
    assert {"id", "tier", "claim", "source", "faults"} <= set(json.loads(done.stdout)[0])


def test_contract(installed: Installed) -> None:
    """The example server keeps the contract."""
    done = installed.run(
        "run", "contract", f"--command={SERVER}", "-n", "2", "--only", "B1", "C4", "E2", "F2-messages-*"
    )
    assert done.returncode == 0, done.stdout
    assert set(installed.verdicts("conformance-report").values()) == {"passed", "skipped"}
    assert (installed.folder / "conformance-report" / "report.html").exists()


def test_recovery(installed: Installed) -> None:
    """The example server with a supervisor recovers."""
    done = installed.run(
        "run", "recovery", f"--command={SERVER} forks", "--can=health,restart", "--output=recovered"
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    outcomes = installed.verdicts("recovered")
    assert outcomes["1.4-automatic-restart "] == outcomes["2.1-dummy-occupies-port "] == "passed"


def test_a_broken_server_fails(installed: Installed) -> None:
    """A fault of the example server is found, and the exit status says so."""
    done = installed.run("run", "contract", f"--command={SERVER} own-404", "--only=F1", "--output=broken")
    assert done.returncode == 1, done.stdout
    assert "failed" in set(installed.verdicts("broken").values())
