"""The tables of `docs/behaviour.md`, and the tests that their rows name."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

from tests.matrix.contract import contract

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "behaviour.md"


@cache
def tables() -> dict[str, list[dict[str, str]]]:
    """The rows below each heading, as column → text."""
    found: dict[str, list[dict[str, str]]] = {}
    for section in re.split(r"^## ", PAGE.read_text("utf-8"), flags=re.MULTILINE)[1:]:
        lines = [line for line in section.splitlines() if line.startswith("|")]
        if lines:
            head, _, *body = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
            found[section.partition("\n")[0]] = [dict(zip(head, cells, strict=True)) for cells in body]
    return found


def rows(heading: str) -> list[dict[str, str]]:
    """The rows of one table, without the marks of Markdown."""
    return [{name: text.replace("`", "") for name, text in row.items()} for row in tables()[heading]]


@cache
def functions() -> dict[str, ast.FunctionDef]:
    """All tests of tests/, as ``tests/folder/file.py::test``."""
    return {
        f"{path.relative_to(ROOT).as_posix()}::{node.name}": node
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


@cache
def known() -> frozenset[str]:
    """All names that a row may have: ids of checks, and ``tests/folder/file.py::test``."""
    return contract("lumen").checks | functions().keys()


@cache
def streamed() -> frozenset[str]:
    """All tests of streams: checks of streams (D, E, F4, F5) or with a row of one, and tests with `stream=True`."""
    tests = contract("lumen").tests
    checks = {test.check for test in tests if re.match(r"[DE]|F4|F5", test.check) or "stream" in test.name}
    return frozenset(checks | {name for name, test in functions().items() if uses_a_stream(test)})


def uses_a_stream(test: ast.FunctionDef) -> bool:
    """Whether it has ``stream=True`` or ``"stream": True``, or so by a parameter that is True in a row."""
    given = [node.value for node in ast.walk(test) if isinstance(node, ast.keyword) and node.arg == "stream"]
    for node in ast.walk(test):
        if isinstance(node, ast.Dict):
            given += [value for key, value in zip(node.keys, node.values, strict=True) if _constant(key) == "stream"]
    rows = [node.elts for node in ast.walk(test) if isinstance(node, ast.List | ast.Tuple)]
    varies = any(_constant(each) is True for row in rows for each in row)
    return any(_constant(value) is True or (isinstance(value, ast.Name) and varies) for value in given)


def _constant(node: ast.expr | None) -> object:
    return node.value if isinstance(node, ast.Constant) else None
