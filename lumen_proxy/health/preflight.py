"""Checks whether a virtual environment can run the proxy. Standard library only: it must work without any package.

A healthy interpreter runs this module for any environment, because a damaged environment may not run any code. This
process imports nothing from the environment: its own interpreter does, in isolated mode and with a deadline.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lumen_proxy import platform
from lumen_proxy.dependencies import DEPENDENCIES, NEW_VENV, Dependency, install_command, is_venv, recreate_advice

if TYPE_CHECKING:
    from collections.abc import Iterator

INTERPRETER_S = 20.0  # importing all modules takes 0.3 s, a cold disk and a busy machine a few seconds

OLDEST = (3, 11)  # the same as in pyproject.toml
PREFIX_CODE = "import json, sys; print(json.dumps({'prefix': sys.prefix, 'version': sys.version_info[:3]}))"
MODULES_CODE = """
import importlib, importlib.metadata, json, sys
for name, module in json.loads(sys.argv[1]):
    versions = []
    try:
        versions.append(importlib.metadata.version(name))
    except Exception:
        pass
    found = {"name": name, "versions": versions}
    try:
        imported = importlib.import_module(module)
    except BaseException as error:
        found["error"] = f"{type(error).__name__}: {error}"
    else:
        own = vars(imported).get("__version__")
        versions += [own] if isinstance(own, str) else []
        found["file"] = getattr(imported, "__file__", None)
    print("\\n" + json.dumps(found), flush=True)
"""
"""Prints one line for each module. If a module ends the interpreter, the lines before it are complete."""


@dataclass(frozen=True)
class EnvironmentCheck:
    """One check. `problem` and `hint` are None if it passes; `detail` is shown to people instead of `found`."""

    id: str
    ok: bool
    found: str | None
    wanted: str | None
    problem: str | None = None
    hint: str | None = None
    detail: str | None = None

    @property
    def text(self) -> str | None:
        """The problem, or what was found."""
        return self.problem or self.detail or self.found


@dataclass(frozen=True)
class EnvironmentReport:
    """All checks of one environment: its folder, its interpreter, and one for each dependency."""

    venv: str
    ok: bool
    checks: tuple[EnvironmentCheck, ...]

    def as_json(self) -> str:
        """The report as one JSON object: venv, ok, checks."""
        return json.dumps(asdict(self))

    def lines(self) -> Iterator[str]:
        """The report for people: checks that fail for the same reason share a line; each hint is shown once."""
        last_with = {check.hint: check for check in self.checks}
        for _, group in groupby(self.checks, key=lambda check: check.problem or check.id):
            checks = list(group)
            names = ", ".join(check.id for check in checks)
            yield f"{'ok     ' if checks[0].ok else 'PROBLEM'}  {names:17}  {checks[0].text}"
            if checks[-1].hint and last_with[checks[-1].hint] is checks[-1]:
                yield f"{'':7}  {checks[-1].hint}"


@dataclass(frozen=True)
class _Import:
    """The result of the import of one dependency. `error`: why it failed."""

    versions: tuple[str, ...] = ()
    file: str = ""
    error: str = ""


class _InterpreterError(Exception):
    """The interpreter did not finish. The message is the reason; `rows` is its output until then."""

    def __init__(self, why: str, rows: list[dict[str, Any]] | None = None) -> None:
        super().__init__(why)
        self.rows = rows or []


def check_environment(venv: Path) -> EnvironmentReport:
    """Check one environment: its folder, its interpreter and each dependency. A failed check raises no exception."""
    python = platform.venv_python(venv)
    interpreter = _check_python(venv, python)
    modules = _check_dependencies(venv, python) if interpreter.found else _not_checked()
    checks = (_check_folder(venv), interpreter, *modules)
    return EnvironmentReport(str(venv), all(check.ok for check in checks), checks)


def _check_folder(venv: Path) -> EnvironmentCheck:
    remedy = recreate_advice(venv)
    config = venv / "pyvenv.cfg"
    wanted = "pyvenv.cfg whose home exists"
    if not venv.is_dir():
        return EnvironmentCheck(
            "venv", ok=False, found=None, wanted=wanted, problem=f"{venv} is not a folder", hint=remedy
        )
    try:
        lines = config.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError as error:
        problem = f"{config} cannot be read: {error.strerror}"
        return EnvironmentCheck("venv", ok=False, found=None, wanted=wanted, problem=problem, hint=remedy)
    pairs = (line.partition("=") for line in lines)
    home = {key.strip().lower(): value.strip() for key, _, value in pairs}.get("home")
    if not home:
        problem = f"{config} names no home"
    elif not Path(home).is_dir():
        problem = f"its base Python does not exist: {home}"
    else:
        return EnvironmentCheck("venv", ok=True, found=home, wanted=wanted, detail=str(venv))
    return EnvironmentCheck("venv", ok=False, found=home, wanted=wanted, problem=problem, hint=remedy)


def _check_python(venv: Path, python: Path) -> EnvironmentCheck:
    remedy = recreate_advice(venv)
    try:
        answer = _run(python, PREFIX_CODE)[-1]
    except _InterpreterError as why:
        return EnvironmentCheck("python", ok=False, found=None, wanted=str(python), problem=str(why), hint=remedy)
    prefix, version = str(answer.get("prefix")), ".".join(map(str, answer.get("version", ())))
    if not _same(Path(prefix), venv):
        problem = f"{python} runs with the prefix {prefix}, not in this environment"
        return EnvironmentCheck("python", ok=False, found=prefix, wanted=str(venv), problem=problem, hint=remedy)
    if tuple(answer.get("version", ())) < OLDEST:
        problem = f"{python} is Python {version}; expected {'.'.join(map(str, OLDEST))} or newer"
        return EnvironmentCheck("python", ok=False, found=prefix, wanted=str(venv), problem=problem, hint=remedy)
    return EnvironmentCheck("python", ok=True, found=prefix, wanted=str(venv), detail=f"{python} ({version})")


def _not_checked() -> tuple[EnvironmentCheck, ...]:
    problem, hint = "not checked: the interpreter does not run", "repair the interpreter first"
    return tuple(
        EnvironmentCheck(one.name, ok=False, found=None, wanted=one.supported, problem=problem, hint=hint)
        for one in DEPENDENCIES
    )


def _check_dependencies(venv: Path, python: Path) -> tuple[EnvironmentCheck, ...]:
    """One check for each dependency. All failed checks have the same hint: one command that installs them."""
    answers = _import_all(python)
    problems = {one: problem for one in DEPENDENCIES if (problem := _problem(one, answers[one], venv))}
    # pip considers a distribution with metadata installed, even if it cannot be imported from this environment.
    replace = any(answers[one].versions and (answers[one].error or not _inside(answers[one], venv)) for one in problems)
    pip_python = sys.executable if _same(venv, Path(sys.prefix)) else str(python)
    hint = f"install: {install_command(problems, python=pip_python, replace=replace)}"
    if not is_venv(venv):
        new_python = str(platform.venv_python(Path(NEW_VENV)))
        hint = f"then install all of them: {install_command(DEPENDENCIES, python=new_python)}"
    return tuple(
        EnvironmentCheck(
            one.name, one not in problems, _version(one, answers[one]), one.supported, problem, problem and hint
        )
        for one in DEPENDENCIES
        for problem in [problems.get(one)]
    )


def _import_all(python: Path) -> dict[Dependency, _Import]:
    """Import all dependencies in the interpreter; if one of them ends it, continue with the next one."""
    answers: dict[Dependency, _Import] = {}
    pending = list(DEPENDENCIES)
    while pending:
        try:
            rows, why = _run(python, MODULES_CODE, json.dumps([(one.name, one.module) for one in pending])), ""
        except _InterpreterError as silent:
            rows, why = silent.rows, str(silent)
        by_name = {row.get("name"): row for row in rows}
        answered = [one for one in pending if one.name in by_name]
        for one in answered:
            row = by_name[one.name]
            answers[one] = _Import(tuple(row["versions"]), str(row.get("file")), str(row.get("error", "")))
        pending = [one for one in pending if one not in answers]
        if pending:
            answers[pending.pop(0)] = _Import(error=why or "no output")
    return answers


def _problem(dependency: Dependency, answer: _Import, venv: Path) -> str | None:
    version = _version(dependency, answer)
    if answer.error:
        return f"{dependency.module} cannot be imported: {answer.error}"
    if not _inside(answer, venv):
        return f"{dependency.module} was imported from outside the environment: {answer.file}"
    if dependency.supported and (version is None or not dependency.supports(version)):
        found = f" {version} is not supported" if version else ": version unknown"
        return f"{dependency.name}{found}; {dependency.supported} is required"
    return None


def _version(dependency: Dependency, answer: _Import) -> str | None:
    """The version; if there are several, one that is out of range."""
    return min(answer.versions, key=dependency.supports, default=None)


def _inside(answer: _Import, venv: Path) -> bool:
    """True if the path or the resolved path is in the environment: either may contain a symbolic link."""
    file = Path(answer.file)
    return file.absolute().is_relative_to(venv.absolute()) or file.resolve().is_relative_to(venv.resolve())


def _same(a: Path, b: Path) -> bool:
    return a.absolute() == b.absolute() or a.resolve() == b.resolve()


def _run(python: Path, code: str, *args: str) -> list[dict[str, Any]]:
    """Run code in another interpreter in isolated mode; return the JSON objects that it prints."""
    command = [str(python), "-I", "-X", "utf8", "-c", code, *args]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=INTERPRETER_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise _InterpreterError(
            f"{python} did not finish within {INTERPRETER_S:g} s", _objects(error.stdout or b"")
        ) from None
    except OSError as error:
        is_broken_link = python.is_symlink() and not python.exists()
        raise _InterpreterError(
            f"{python} {'is a broken link' if is_broken_link else 'does not run'}: {error.strerror}"
        ) from None
    rows = _objects(done.stdout)
    if done.returncode or not rows:
        raise _InterpreterError(f"{python} ended with status {done.returncode} and printed no result", rows)
    return rows


def _objects(output: bytes) -> list[dict[str, Any]]:
    """The lines that are JSON objects; a module may print other lines."""
    found = []
    for line in output.decode("utf-8", "replace").split("\n"):
        with contextlib.suppress(ValueError):
            value = json.loads(line)
            found += [value] if isinstance(value, dict) else []
    return found
