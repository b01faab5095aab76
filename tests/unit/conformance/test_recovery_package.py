"""The recovery suite ships in the package, where this repository's tests do not exist."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.repository import ROOT

MODULES = sorted((ROOT / "tests" / "recovery").glob("*.py"))


def list_imports(path: Path) -> Iterator[str]:
    """Yield the modules that a file imports."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            yield f"{'.' * node.level}{node.module or ''}"
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_recovery_imports_nothing_of_this_repository(path: Path) -> None:
    """A module of the recovery suite imports neither the tests of this repository nor the proxy."""
    assert [name for name in list_imports(path) if name.startswith((".", "tests", "lumen_proxy"))] == []
