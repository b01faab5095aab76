"""The contract suite works as an installed package: without this repository, and without the clients."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lumen_conformance import suites
from tests.fixtures.repository import ROOT

CONTRACT = ROOT / "tests" / "contract"
MODULES = sorted(path for path in CONTRACT.rglob("*.py") if "node_modules" not in path.parts)
COLLECT_S = 60.0  # a collection takes two seconds


def imported(path: Path) -> set[str]:
    """The modules that a module imports by absolute names."""
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    names = {each.name for node in nodes if isinstance(node, ast.Import) for each in node.names}
    return names | {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(CONTRACT).as_posix())
def test_no_import_of_the_repository(path: Path) -> None:
    """A module of the contract suite imports neither tests nor the proxy by absolute names."""
    assert {name for name in imported(path) if name.split(".")[0] in {"tests", "lumen_proxy"}} == set()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the suite as a wheel has it: no constraints, no installed clients, no other folder of tests."""
    folder = tmp_path_factory.mktemp("installed")
    ignored = shutil.ignore_patterns("node_modules", "__pycache__")
    shutil.copytree(CONTRACT, folder / "suites" / "contract", ignore=ignored)
    (folder / "suites" / "__init__.py").touch()
    shutil.copy(Path(suites.__file__).parents[1] / "suite.ini", folder / "pytest.ini")
    return folder


def run(folder: Path, module: str) -> subprocess.CompletedProcess[str]:
    """Run pytest on one module of the copy."""
    command = [sys.executable, "-m", "pytest", "-p", "lumen_conformance.plugin", "-p", "no:cacheprovider", "-rs", "-q"]
    path = os.pathsep.join([os.environ["PYTHONPATH"], str(folder)])  # the network guard of the suite comes first
    return subprocess.run(
        [*command, str(folder / "suites" / "contract" / module)], cwd=folder, env={**os.environ, "PYTHONPATH": path},
        capture_output=True, encoding="utf-8", timeout=COLLECT_S, check=False,
    )  # fmt: skip


def test_clients_are_skipped(installed: Path) -> None:
    """Without the clients the K checks are skipped, and the reason says how to set the clients up."""
    done = run(installed, "test_k_clients.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "clients need a clone of the repository: run `make clients` there" in done.stdout
    assert "NOTHING PASSED: 0 passed, 0 failed, " in done.stdout


UNSOURCED = """
from lumen_conformance.registry.declaration import check, check_each

@check("X1", source="RFC 9110")
def test_with_source() -> None:
    "A check with a source."

@check_each("row", {"X2-a": 1}%s)
def test_rows(row: int) -> None:
    "Rows of checks."
"""


@pytest.mark.parametrize(("source", "status"), [("", 2), (", source='RFC 9110'", 0)], ids=["without", "with"])
def test_a_check_needs_a_source(installed: Path, source: str, status: int) -> None:
    """A check of the contract suite without a source cannot be collected, and the message names the check."""
    (installed / "suites" / "contract" / "test_source.py").write_text(UNSOURCED % source, "utf-8")
    done = run(installed, "test_source.py")
    assert done.returncode == status, done.stdout + done.stderr
    assert ("test_rows: check X2-a has no source; pass source= to its decorator" in done.stdout) == bool(status)
