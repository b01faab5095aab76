"""A mutation changes a module after its import; a mutation that cannot be installed ends the process."""

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

MUTATIONS = {"louder": louder}
"""


@pytest.fixture
def product(tmp_path: Path) -> Path:
    """Return the folder of a product with three modules."""
    files = {
        "product/__init__.py": "",
        "product/__main__.py": "from product.worker import app; print(app.word())",
        "product/worker/__init__.py": "",
        "product/worker/app.py": "WORD = 'word'\ndef word(): return WORD\n",
        "faults.py": FAULTS,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(dedent(text))
    return tmp_path


def start(product: Path, name: str | None, *argv: str) -> subprocess.CompletedProcess[str]:
    """Run the product with a mutation, or without."""
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


@pytest.mark.parametrize(("name", "printed"), [(None, "word"), ("louder", "WORD")], ids=["healthy", "mutated"])
def test_module_is_changed_after_its_import(product: Path, name: str | None, printed: str) -> None:
    """A mutation changes its module in the child process that has its name in the environment."""
    assert start(product, name).stdout.strip() == printed


def test_grandchildren_have_the_mutation(product: Path) -> None:
    """A child process of the child process has the mutation."""
    code = "import subprocess, sys; subprocess.run([sys.executable, '-m', 'product'])"
    assert start(product, "louder", "-c", code).stdout.strip() == "WORD"


def test_an_imported_module_is_changed_at_once(product: Path) -> None:
    """A module that Python has imported already is changed."""
    (product / "faults.py").write_text("MUTATIONS = {'os': lambda after: after('os', lambda os: setattr(os, 'X', 1))}")
    assert start(product, "os", "-c", "import os; print(os.X)").stdout.strip() == "1"


@pytest.mark.parametrize(
    ("name", "faults"),
    [("luoder", FAULTS), ("louder", "1 / 0"), ("louder", "MUTATIONS = {'louder': lambda after: 1 / 0}")],
    ids=["unknown-name", "broken-file", "broken-fault"],
)
def test_a_failed_installation_ends_the_process(product: Path, name: str, faults: str) -> None:
    """An unknown name or an invalid file ends the process with its own exit status."""
    (product / "faults.py").write_text(faults)
    done = start(product, name)
    assert (done.returncode, done.stdout) == (BROKEN_EXIT, "")
    assert f"mutation {name!r} cannot be installed" in done.stderr


def test_a_failed_change_fails_the_import(product: Path) -> None:
    """A change that raises an exception makes the import fail with its traceback."""
    (product / "faults.py").write_text(FAULTS.replace("module.WORD.upper()", "module.GONE"))
    done = start(product, "louder")
    assert done.returncode != 0
    assert "GONE" in done.stderr
