"""Names and sentences of the code are plain: none is in the list of words and phrases that were replaced."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.fixtures.repository import ROOT

REPLACED = frozenset(
    [
        "surroundings",
        "around",
        "facts",
        "tell",
        "hear",
        "told",
        "words",
        "gone",
        "seen",
        "places",
        "slots",
        "watch",
        "leash",
        "life",
        "guard",
        "calls",
        "asking",
        "marks",
        "cases",
        "watching",
        "addresses",
        "talking",
        "telling",
        "applying",
        "spending",
        "spreading",
        "inner",
        "outer",
        "ourselves",
        "unready",
        "standin",
        "twin",
        "twins",
        "sabotage",
        "sabotages",
    ]
)
"""Words that had a private meaning in names. The field's own nouns and verbs stand in their place."""

ORDINARY: dict[str, str] = {}
"""Name → why it may have one of these words: a public interface, or the ordinary sense of the word."""

PHRASES = (
    "left in peace for a while",
    "answer makes no sense",
    "which is not seconds from",
    "that cannot be meant",
    "are told of your server",
    "told by PID",
    "plays in its sandbox",
    "alerts go to nobody",
    "troubles that users have met",
    "of the house",
    "The suite walks",
    "that the metrics do not tell",
)
"""Phrases that were replaced by sentences that say what happens."""


@cache
def tracked(*patterns: str) -> tuple[Path, ...]:
    """The files of the repository that match."""
    command = ["git", "ls-files", "-z", "--", *patterns]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    return tuple(path for name in names if name and (path := ROOT / name).is_file() and path != Path(__file__))


def names_in(path: Path) -> Iterator[str]:
    """The names of a module, and of its classes, functions and parameters."""
    yield path.stem
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg


def words_of_name(name: str) -> set[str]:
    """The words of a name in snake or camel case."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}


@pytest.mark.parametrize("folder", ["lumen_conformance", "lumen_proxy", "tests", "docs", "benchmarks"])
def test_names(folder: str) -> None:
    """No module, class, function or parameter has a name with a replaced word."""
    found = {(str(path.relative_to(ROOT)), name) for path in tracked(f"{folder}/*.py") for name in names_in(path)}
    assert (
        sorted(f"{path}: {name}" for path, name in found if name not in ORDINARY and words_of_name(name) & REPLACED)
        == []
    )


def test_every_exception_is_used() -> None:
    """The list of exceptions names nothing that has gone."""
    assert set(ORDINARY) - {name for path in tracked("*.py") for name in names_in(path)} == set()


def test_phrases() -> None:
    """No replaced phrase is left in code, messages or docs."""
    texts = {
        path: path.read_text("utf-8") for path in tracked("*.py", "*.md", "*.toml", "*.yml", "*.html", "*.ini", "*.mjs")
    }
    found = [
        f"{path.relative_to(ROOT)}: {phrase}" for path, text in texts.items() for phrase in PHRASES if phrase in text
    ]
    assert found == []
