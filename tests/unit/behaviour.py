"""The tables of `docs/behaviour.md`, and the tests that their rows name."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

from tests.matrix.running import contract

ROOT = Path(__file__).resolve().parents[2]
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
def known() -> frozenset[str]:
    """Every name that a row may give: ids of checks, and ``file::test`` below tests/."""
    functions = {
        f"{path.relative_to(ROOT / 'tests').with_suffix('').as_posix()}::{node.name}"
        for path in (ROOT / "tests").glob("*/test_*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }
    return contract("lumen").checks | functions


@cache
def streamed() -> frozenset[str]:
    """The checks that are about streams (D, E, F4, F5), or of which a row is asked as one."""
    tests = contract("lumen").tests
    return frozenset(test.check for test in tests if re.match(r"[DE]|F4|F5", test.check) or "stream" in test.name)
