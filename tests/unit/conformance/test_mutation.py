"""The door for faults: a module is changed after its import, in the child alone, or the child does not run at all."""

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from lumen_conformance.inject.lumen_mutation import BROKEN_EXIT, FILE, NAME
from lumen_conformance.isolation import INJECT

FAULTS = """
def louder(after_import):
    def change(module):
        module.WORD = module.WORD.upper()
        module.changed_by = __name__
    after_import("product.worker.app", change)

SABOTAGES = {"louder": louder}
"""


@pytest.fixture
def product(tmp_path: Path) -> Path:
    """A product of three modules: its entry imports the app as the app's own packages do."""
    files = {
        "product/__init__.py": "",
        "product/__main__.py": "from product.worker import app; print(app.say())",
        "product/worker/__init__.py": "",
        "product/worker/app.py": "WORD = 'word'\ndef say(): return WORD\n",
        "faults.py": FAULTS,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(dedent(text))
    return tmp_path


def start(product: Path, name: str | None, *argv: str) -> subprocess.CompletedProcess[str]:
    """Run it with a fault, or without."""
    environ = os.environ | {"PYTHONPATH": f"{INJECT}{os.pathsep}{product}", FILE: str(product / "faults.py")}
    environ |= {NAME: name} if name else {}
    argv = argv or ("-m", "product")
    return subprocess.run(
        [sys.executable, *argv],
        env=environ,
        cwd=product,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(("name", "said"), [(None, "word"), ("louder", "WORD")], ids=["healthy", "sabotaged"])
def test_module_is_changed_after_its_import(product: Path, name: str | None, said: str) -> None:
    """The fault works in the child that has its name, and nowhere else."""
    assert start(product, name).stdout.strip() == said


def test_grandchildren_have_the_fault_too(product: Path) -> None:
    """A supervisor's worker is a process of the target."""
    code = "import subprocess, sys; subprocess.run([sys.executable, '-m', 'product'])"
    assert start(product, "louder", "-c", code).stdout.strip() == "WORD"


def test_module_that_is_there_is_changed_at_once(product: Path) -> None:
    """A module that Python itself has imported can be changed, too."""
    (product / "faults.py").write_text("SABOTAGES = {'os': lambda after: after('os', lambda os: setattr(os, 'X', 1))}")
    assert start(product, "os", "-c", "import os; print(os.X)").stdout.strip() == "1"


@pytest.mark.parametrize(
    ("name", "faults"),
    [("luoder", FAULTS), ("louder", "1 / 0"), ("louder", "SABOTAGES = {'louder': lambda after: 1 / 0}")],
    ids=["unknown-name", "broken-file", "broken-fault"],
)
def test_fault_that_cannot_be_armed_is_no_healthy_target(product: Path, name: str, faults: str) -> None:
    """A typing error must not pass for a target without fault."""
    (product / "faults.py").write_text(faults)
    done = start(product, name)
    assert (done.returncode, done.stdout) == (BROKEN_EXIT, "")
    assert f"sabotage {name!r} cannot be armed" in done.stderr


def test_change_that_fails_is_loud(product: Path) -> None:
    """A fault that does not fit the product any more ends the import with its own traceback."""
    (product / "faults.py").write_text(FAULTS.replace("module.WORD.upper()", "module.GONE"))
    done = start(product, "louder")
    assert done.returncode != 0
    assert "GONE" in done.stderr
