"""Is a virtual environment fit to run the proxy? Standard library only: it must work where nothing else does.

Run by a healthy interpreter about any environment, for a broken one cannot run code of ours. Nothing
of the environment is imported here: its own interpreter is asked, in isolated mode and with a deadline.
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

ASK_S = 20.0  # importing all modules takes 0.3 s, a cold disk and a busy machine a few seconds

OLDEST = (3, 11)  # the same as in pyproject.toml
ASK_PREFIX = "import json, sys; print(json.dumps({'prefix': sys.prefix, 'version': sys.version_info[:3]}))"
ASK_MODULES = """
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
"""One line for each module, at once. If a module ends the interpreter, the answers before it are kept."""


@dataclass(frozen=True)
class Check:
    """One answer. `problem` and `hint` are None when all is well; `detail` is for people, instead of `found`."""

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
class Report:
    """All checks of one environment: its folder, its interpreter, and one for each dependency."""

    venv: str
    ok: bool
    checks: tuple[Check, ...]

    def as_json(self) -> str:
        """The report as one JSON object: venv, ok, checks."""
        return json.dumps(asdict(self))

    def lines(self) -> Iterator[str]:
        """The report for people: checks that fail for the same reason share a line, and each hint is shown once."""
        last_with = {check.hint: check for check in self.checks}
        for _, group in groupby(self.checks, key=lambda check: check.problem or check.id):
            checks = list(group)
            names = ", ".join(check.id for check in checks)
            yield f"{'ok     ' if checks[0].ok else 'PROBLEM'}  {names:17}  {checks[0].text}"
            if checks[-1].hint and last_with[checks[-1].hint] is checks[-1]:
                yield f"{'':7}  {checks[-1].hint}"


@dataclass(frozen=True)
class _Answer:
    """What the environment's interpreter says about one dependency. `error`: why it cannot be imported."""

    versions: tuple[str, ...] = ()
    file: str = ""
    error: str = ""


class _Silent(Exception):  # noqa: N818 - not an error of ours
    """An interpreter did not give an answer; the message says why, and `rows` is what it said before."""

    def __init__(self, why: str, rows: list[dict[str, Any]] | None = None) -> None:
        super().__init__(why)
        self.rows = rows or []


def examine(venv: Path) -> Report:
    """Check one environment: its folder, its interpreter and each dependency. Never raises for what it finds."""
    python = platform.venv_python(venv)
    interpreter = _python(venv, python)
    modules = _dependencies(venv, python) if interpreter.found else _not_checked()
    checks = (_venv(venv), interpreter, *modules)
    return Report(str(venv), all(check.ok for check in checks), checks)


def _venv(venv: Path) -> Check:
    remedy = recreate_advice(venv)
    config = venv / "pyvenv.cfg"
    wanted = "pyvenv.cfg whose home exists"
    if not venv.is_dir():
        return Check("venv", ok=False, found=None, wanted=wanted, problem=f"{venv} is not a folder", hint=remedy)
    try:
        lines = config.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError as error:
        problem = f"{config} cannot be read: {error.strerror}"
        return Check("venv", ok=False, found=None, wanted=wanted, problem=problem, hint=remedy)
    pairs = (line.partition("=") for line in lines)
    home = {key.strip().lower(): value.strip() for key, _, value in pairs}.get("home")
    if not home:
        problem = f"{config} names no home"
    elif not Path(home).is_dir():
        problem = f"the Python it was made from is gone: {home}"
    else:
        return Check("venv", ok=True, found=home, wanted=wanted, detail=str(venv))
    return Check("venv", ok=False, found=home, wanted=wanted, problem=problem, hint=remedy)


def _python(venv: Path, python: Path) -> Check:
    remedy = recreate_advice(venv)
    try:
        answer = _ask(python, ASK_PREFIX)[-1]
    except _Silent as why:
        return Check("python", ok=False, found=None, wanted=str(python), problem=str(why), hint=remedy)
    prefix, version = str(answer.get("prefix")), ".".join(map(str, answer.get("version", ())))
    if not _same(Path(prefix), venv):
        problem = f"{python} runs, but with the prefix {prefix}: it does not see this environment"
        return Check("python", ok=False, found=prefix, wanted=str(venv), problem=problem, hint=remedy)
    if tuple(answer.get("version", ())) < OLDEST:
        problem = f"{python} is Python {version}; {'.'.join(map(str, OLDEST))} or newer is needed"
        return Check("python", ok=False, found=prefix, wanted=str(venv), problem=problem, hint=remedy)
    return Check("python", ok=True, found=prefix, wanted=str(venv), detail=f"{python} ({version})")


def _not_checked() -> tuple[Check, ...]:
    problem, hint = "not checked: the interpreter gave no answer", "repair the interpreter first"
    return tuple(
        Check(one.name, ok=False, found=None, wanted=one.supported, problem=problem, hint=hint) for one in DEPENDENCIES
    )


def _dependencies(venv: Path, python: Path) -> tuple[Check, ...]:
    """One check for each; all that fail have the same hint: the one command that installs them."""
    answers = _answers(python)
    problems = {one: problem for one in DEPENDENCIES if (problem := _problem(one, answers[one], venv))}
    # pip takes what has a version for installed, whether it can be imported or not, here or elsewhere.
    replace = any(answers[one].versions and (answers[one].error or not _inside(answers[one], venv)) for one in problems)
    pip_python = sys.executable if _same(venv, Path(sys.prefix)) else str(python)
    hint = f"install: {install_command(problems, python=pip_python, replace=replace)}"
    if not is_venv(venv):
        new_python = str(platform.venv_python(Path(NEW_VENV)))
        hint = f"then install all of them: {install_command(DEPENDENCIES, python=new_python)}"
    return tuple(
        Check(one.name, one not in problems, _version(one, answers[one]), one.supported, problem, problem and hint)
        for one in DEPENDENCIES
        for problem in [problems.get(one)]
    )


def _answers(python: Path) -> dict[Dependency, _Answer]:
    """Ask the interpreter about all dependencies at once, and after a module that ends it about those behind."""
    answers: dict[Dependency, _Answer] = {}
    waiting = list(DEPENDENCIES)
    while waiting:
        try:
            rows, why = _ask(python, ASK_MODULES, json.dumps([(one.name, one.module) for one in waiting])), ""
        except _Silent as silent:
            rows, why = silent.rows, str(silent)
        by_name = {row.get("name"): row for row in rows}
        answered = [one for one in waiting if one.name in by_name]
        for one in answered:
            row = by_name[one.name]
            answers[one] = _Answer(tuple(row["versions"]), str(row.get("file")), str(row.get("error", "")))
        waiting = [one for one in waiting if one not in answers]
        if waiting:
            answers[waiting.pop(0)] = _Answer(error=why or "no answer")
    return answers


def _problem(dependency: Dependency, answer: _Answer, venv: Path) -> str | None:
    version = _version(dependency, answer)
    if answer.error:
        return f"{dependency.module} cannot be imported: {answer.error}"
    if not _inside(answer, venv):
        return f"{dependency.module} was imported from outside the environment: {answer.file}"
    if dependency.supported and (version is None or not dependency.supports(version)):
        found = f" {version} is not supported" if version else ": version unknown"
        return f"{dependency.name}{found}; {dependency.supported} is needed"
    return None


def _version(dependency: Dependency, answer: _Answer) -> str | None:
    """If one of its versions is out of range, then that one."""
    return min(answer.versions, key=dependency.supports, default=None)


def _inside(answer: _Answer, venv: Path) -> bool:
    """True by name or by what the name leads to: either may run through a symbolic link."""
    file = Path(answer.file)
    return file.absolute().is_relative_to(venv.absolute()) or file.resolve().is_relative_to(venv.resolve())


def _same(a: Path, b: Path) -> bool:
    return a.absolute() == b.absolute() or a.resolve() == b.resolve()


def _ask(python: Path, code: str, *args: str) -> list[dict[str, Any]]:
    """Run a few lines in another interpreter, isolated from our environment; return the JSON objects it prints."""
    command = [str(python), "-I", "-X", "utf8", "-c", code, *args]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=ASK_S, check=False)
    except subprocess.TimeoutExpired as late:
        raise _Silent(f"{python} gave no answer within {ASK_S:g} s", _objects(late.stdout or b"")) from None
    except OSError as error:
        dangling = python.is_symlink() and not python.exists()
        raise _Silent(f"{python} {'is a broken link' if dangling else 'does not run'}: {error.strerror}") from None
    rows = _objects(done.stdout)
    if done.returncode or not rows:
        raise _Silent(f"{python} ended with status {done.returncode} and no answer", rows)
    return rows


def _objects(output: bytes) -> list[dict[str, Any]]:
    """The lines that are JSON objects; a module may print others."""
    found = []
    for line in output.decode("utf-8", "replace").split("\n"):
        with contextlib.suppress(ValueError):
            value = json.loads(line)
            found += [value] if isinstance(value, dict) else []
    return found
