"""Each hook of pytest has one implementation in the suite, so that the order of its steps is visible in one place."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import lumen_conformance

PACKAGE = Path(lumen_conformance.__file__).parent


def hooks(path: Path) -> Iterator[str]:
    """Yield the hooks that a module implements, as a function or as a method."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("pytest_"):
            yield node.name


def test_each_hook_is_implemented_once() -> None:
    """No two modules of the suite implement the same hook, and only the plugin implements hooks."""
    found = defaultdict[str, list[str]](list)
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        for hook in hooks(path):
            found[hook].append(name)
    assert found, "no hook was found"
    several = {hook: names for hook, names in found.items() if len(names) > 1}
    outside = {name for names in found.values() for name in names if not name.startswith("plugin/")}
    assert (several, outside) == ({}, set())
