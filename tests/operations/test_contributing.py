"""CONTRIBUTING.md, done as it is written in a copy of the repository: a new check and its fault."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent, indent

import pytest

from lumen_conformance.inject import lumen_guard
from tests.fixtures.nested_pytest import inherited
from tests.fixtures.repository import ROOT, copy_tracked_files

GUIDE = (
    (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("## Add a check and its fault\n")[2].partition("\n## ")[0]
)
JUDGE, FAULT = (dedent(block) for block in re.findall(r"   ```python\n(.*?)   ```", GUIDE, re.DOTALL))
BUDGET_S = 240.0  # ten seconds alone; the rest is for a busy machine


def insert(path: Path, text: str, before: str) -> None:
    """Insert a text above the last line that is equal to another one."""
    head, line, tail = path.read_text("utf-8").rpartition(f"\n{before}\n")
    assert line, f"{path} has no line {before}"
    path.write_text(f"{head}\n{text}{line[1:]}{tail}", "utf-8")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository with the check and the fault of the guide."""
    folder = tmp_path_factory.mktemp("copy")
    copy_tracked_files(folder)
    insert(
        folder / "lumen_conformance" / "checks" / "e_stream.py",
        f"{JUDGE.rstrip()}\n\n\n",
        "JUDGES = judges_in(globals())",
    )
    insert(folder / "tests" / "fixtures" / "faults" / "chunks.py", f"{indent(FAULT.rstrip(), '    ')},\n", ")")
    return folder


def run(folder: Path, *arguments: str) -> str:
    """Run Python in the copy; return its output."""
    environ = {**inherited(), "PYTHONPATH": os.pathsep.join([lumen_guard.HERE, str(folder)])}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        encoding="utf-8", timeout=BUDGET_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_a_new_check_and_its_fault(copy: Path) -> None:
    """The two files of the guide are all that is edited by hand: the rest is generated."""
    matrix = ("-m", "pytest", "tests/matrix", "-k", "fingerprint-changes", "-n0", f"--basetemp={copy / 'temporary'}")
    run(copy, *matrix, "--update")
    assert "[fingerprint-changes]" in (copy / "tests" / "fixtures" / "faults" / "failures.txt").read_text("utf-8")
    assert "1 passed" in run(copy, *matrix)
    run(copy, "-m", "pytest", "tests/unit/conformance/test_checks_defects.py", "-q", f"--basetemp={copy / 'temporary'}")
    run(copy, "-m", "docs.tables")
    run(copy, "-m", "docs.catalogue")
    checks = {
        each["id"]: each for each in json.loads((copy / "lumen_conformance" / "catalogue.json").read_text("utf-8"))
    }
    assert "fingerprint-changes" in checks["E1.6"]["faults"]
    assert "| E1.6 | S |" in (copy / "docs" / "contract-checks.md").read_text("utf-8")
