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

ORDINARY = {
    "addresses": "addresses of a network",
    "calls": "calls of tools, of a gateway or of a function",
    "guard": "the audit hook that blocks connections beyond this machine",
    "marks": "marks of pytest",
    "watch": "the command lumen-proxy watch",
}
"""Word → its ordinary sense, in which functions and parameters may have it."""

ALLOWED = {
    "ClientCalls": "calls of a client library",
    "GuardLog": "the log of the guard",
    "error_cases": "test cases",
    "test_gateway_calls": "tests of calls of the gateway",
    "lumen_guard": "the guard, which each child process imports by this name",
    "watch": "the command lumen-proxy watch",
}
"""Module or class → why it may have a replaced word."""

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


def names_in(path: Path) -> Iterator[tuple[str, frozenset[str]]]:
    """The names of a module, and of its classes, functions and parameters, each with its words that are replaced."""
    yield path.stem, words_of_name(path.stem) & REPLACED
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ClassDef):
            yield node.name, words_of_name(node.name) & REPLACED
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, words_of_name(node.name) & REPLACED - set(ORDINARY)
        elif isinstance(node, ast.arg):
            yield node.arg, words_of_name(node.arg) & REPLACED - set(ORDINARY)


def words_of_name(name: str) -> frozenset[str]:
    """The words of a name in snake or camel case."""
    return frozenset(word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name))


@pytest.mark.parametrize("folder", ["lumen_conformance", "lumen_proxy", "tests", "docs", "benchmarks"])
def test_names(folder: str) -> None:
    """No module, class, function or parameter has a name with a replaced word."""
    found = ((path, name) for path in tracked(f"{folder}/*.py") for name, words in names_in(path) if words)
    assert sorted(f"{path.relative_to(ROOT)}: {name}" for path, name in found if name not in ALLOWED) == []


def test_every_exception_is_used() -> None:
    """The list of allowed names has nothing that is gone."""
    assert set(ALLOWED) - {name for path in tracked("*.py") for name, _ in names_in(path)} == set()


def test_phrases() -> None:
    """No replaced phrase is left in code, messages or docs."""
    texts = {
        path: path.read_text("utf-8") for path in tracked("*.py", "*.md", "*.toml", "*.yml", "*.html", "*.ini", "*.mjs")
    }
    found = [
        f"{path.relative_to(ROOT)}: {phrase}" for path, text in texts.items() for phrase in PHRASES if phrase in text
    ]
    assert found == []
