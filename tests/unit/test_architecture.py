"""Imports go down through the layers, and the suite imports nothing of the proxy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from docs.architecture import lines_of_code

ROOT = Path(__file__).resolve().parents[2]


def lint_imports(config: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter with the contracts in `config`."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"]
    arguments = ["--config", str(config), "--no-cache"]
    utf8 = {**os.environ, "PYTHONUTF8": "1"}  # it draws with characters that not every console has
    return subprocess.run(
        [*command, *arguments], cwd=ROOT, env=utf8, capture_output=True, encoding="utf-8", timeout=60, check=False
    )


def test_imports_point_down() -> None:
    """No layer imports a layer above it, and the suite imports nothing of the proxy."""
    done = lint_imports(ROOT / "pyproject.toml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_lines_of_code() -> None:
    """A line of code is no blank line, no comment and no docstring."""
    source = (
        '"""A module."""\n\n# A comment.\ndef f(n):\n    """Double."""\n    return (\n        2 * n  # twice\n    )\n'
    )
    assert lines_of_code(source) == 4


def test_a_package_outside_the_layers_fails(tmp_path: Path) -> None:
    """A package that stands in no layer is an error."""
    config = tmp_path / "pyproject.toml"
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    config.write_text(text.replace(" | examples", ""), "utf-8")
    done = lint_imports(config)
    assert done.returncode != 0
    assert "lumen_conformance.examples" in done.stdout


def test_a_broken_contract_fails(tmp_path: Path) -> None:
    """A contract that the tree violates turns the check above red."""
    config = tmp_path / "pyproject.toml"
    config.write_text(
        '[tool.importlinter]\nroot_packages = ["lumen_proxy"]\n'
        '[[tool.importlinter.contracts]]\nname = "upside down"\ntype = "layers"\n'
        'layers = ["lumen_proxy.errors", "lumen_proxy.config"]\n'
    )
    done = lint_imports(config)
    assert done.returncode != 0
    assert "upside down BROKEN" in done.stdout
