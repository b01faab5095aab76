"""Is a virtual environment fit to run the proxy? Standard library only: it must work where nothing else does.

Run by a healthy interpreter about any environment, for a broken one cannot run code of ours. Nothing
of the environment is imported here: its own interpreter is asked, in isolated mode and with a deadline.
"""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lumen_proxy.supervisor import platform

ASK_S = 20.0  # importing Flask takes 0.1 s, a cold disk and a busy machine a few seconds

RANGES: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "flask": ((3,), (4,)),
    "requests": ((2, 31), (3,)),
}  # from, below; the same as in pyproject.toml

OLDEST = (3, 11)  # the same as in pyproject.toml
ASK_PREFIX = "import json, sys; print(json.dumps({'prefix': sys.prefix, 'version': sys.version_info[:3]}))"
ASK_MODULE = """
import importlib, importlib.metadata, json, sys
try:
    module = importlib.import_module(sys.argv[1])
except BaseException as error:
    print(json.dumps({"error": f"{type(error).__name__}: {error}"}))
else:
    own = vars(module).get("__version__")
    versions = [own] if isinstance(own, str) else []
    try:
        versions.append(importlib.metadata.version(sys.argv[1]))
    except importlib.metadata.PackageNotFoundError:
        pass
    print(json.dumps({"file": getattr(module, "__file__", None), "versions": versions}))
"""


@dataclass(frozen=True)
class Check:
    """One answer. `problem` and `hint` are None when all is well."""

    id: str
    ok: bool
    found: str | None
    wanted: str | None
    problem: str | None = None
    hint: str | None = None


@dataclass(frozen=True)
class Report:
    """All checks of one environment."""

    venv: str
    ok: bool
    checks: tuple[Check, ...]

    def as_json(self) -> str:
        """The report as one JSON object: venv, ok, checks."""
        return json.dumps(asdict(self))


class _Silent(Exception):  # noqa: N818 - not an error of ours
    """An interpreter did not give an answer; the message says why."""


def examine(venv: Path) -> Report:
    """Check one environment: its folder, its interpreter, Flask and requests. Never raises for what it finds."""
    python = platform.venv_python(venv)
    checks = (_venv(venv), _python(venv, python), *(_module(venv, python, name) for name in RANGES))
    return Report(str(venv), all(check.ok for check in checks), checks)


def supported(name: str) -> str:
    """The range of a module as pip reads it, such as `>=3,<4`; empty for one that is not looked at here."""
    if name not in RANGES:
        return ""
    low, below = (".".join(map(str, bound)) for bound in RANGES[name])
    return f">={low},<{below}"


def _anew(venv: Path) -> str:
    """How to make it again. `--clear` empties the folder, so it is never advised for one that holds something else."""
    if (venv / "pyvenv.cfg").is_file():
        return f"make the environment anew: python -m venv --clear {venv}"
    if venv.exists():
        return f"{venv} is not a virtual environment; name one, or make one: python -m venv {venv / '.venv'}"
    return f"make it: python -m venv {venv}"


def _venv(venv: Path) -> Check:
    anew = _anew(venv)
    config = venv / "pyvenv.cfg"
    wanted = "pyvenv.cfg whose home exists"
    if not venv.is_dir():
        return Check("venv", ok=False, found=None, wanted=wanted, problem=f"{venv} is not a folder", hint=anew)
    try:
        lines = config.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError as error:
        problem = f"{config} cannot be read: {error.strerror}"
        return Check("venv", ok=False, found=None, wanted=wanted, problem=problem, hint=anew)
    pairs = (line.partition("=") for line in lines)
    home = {key.strip().lower(): value.strip() for key, _, value in pairs}.get("home")
    if not home:
        problem = f"{config} names no home"
    elif not Path(home).is_dir():
        problem = f"the Python it was made from is gone: {home}"
    else:
        return Check("venv", ok=True, found=home, wanted=wanted)
    return Check("venv", ok=False, found=home, wanted=wanted, problem=problem, hint=anew)


def _python(venv: Path, python: Path) -> Check:
    anew = _anew(venv)
    try:
        answer = _ask(python, ASK_PREFIX)
    except _Silent as why:
        return Check("python", ok=False, found=None, wanted=str(python), problem=str(why), hint=anew)
    prefix, version = str(answer.get("prefix")), ".".join(map(str, answer.get("version", ())))
    if not _same(Path(prefix), venv):
        problem = f"{python} runs, but with the prefix {prefix}: it does not see this environment"
        return Check("python", ok=False, found=prefix, wanted=str(venv), problem=problem, hint=anew)
    if tuple(answer.get("version", ())) < OLDEST:
        problem = f"{python} is Python {version}; {'.'.join(map(str, OLDEST))} or newer is needed"
        return Check("python", ok=False, found=prefix, wanted=str(venv), problem=problem, hint=anew)
    return Check("python", ok=True, found=prefix, wanted=str(venv))


def _module(venv: Path, python: Path, name: str) -> Check:
    wanted = supported(name)
    try:
        answer = _ask(python, ASK_MODULE, name)
    except _Silent as why:
        hint = "mend the interpreter first"
        return Check(name, ok=False, found=None, wanted=wanted, problem=f"{name}: not asked, {why}", hint=hint)
    versions: list[str] = sorted(answer.get("versions", []), key=lambda version: _supported(name, version))
    found = versions[0] if versions else None  # if one of them is out of range, then that one
    problem = _trouble(answer, found, venv, name)
    install = f'install it: {python} -m pip install "{name}{wanted}"'
    return Check(name, problem is None, found, wanted, problem, hint=install if problem else None)


def _trouble(answer: dict[str, Any], version: str | None, venv: Path, name: str) -> str | None:
    if "error" in answer:
        return f"{name} cannot be imported: {answer['error']}"
    if not _inside(Path(str(answer.get("file"))), venv):
        return f"{name} was imported from outside the environment: {answer.get('file')}"
    if version is None or not _supported(name, version):
        return f"{name} {version or 'of no known version'} is not supported"
    return None


def _supported(name: str, version: str) -> bool:
    low, below = RANGES[name]
    release = re.match(r"\d+(?:\.\d+)*", version)
    return release is not None and low <= tuple(map(int, release[0].split("."))) < below


def _inside(file: Path, venv: Path) -> bool:
    """True by name or by what the name leads to: either may run through a symbolic link."""
    return file.absolute().is_relative_to(venv.absolute()) or file.resolve().is_relative_to(venv.resolve())


def _same(a: Path, b: Path) -> bool:
    return a.absolute() == b.absolute() or a.resolve() == b.resolve()


def _ask(python: Path, code: str, *args: str) -> dict[str, Any]:
    """Run a few lines in another interpreter, isolated from our environment; the last line it prints is JSON."""
    command = [str(python), "-I", "-X", "utf8", "-c", code, *args]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=ASK_S, check=False)
    except subprocess.TimeoutExpired:
        raise _Silent(f"{python} gave no answer within {ASK_S:g} s") from None
    except OSError as error:
        dangling = python.is_symlink() and not python.exists()
        raise _Silent(f"{python} {'leads nowhere' if dangling else 'does not run'}: {error.strerror}") from None
    try:
        answer = json.loads(done.stdout.decode("utf-8", "replace").strip().split("\n")[-1])
    except ValueError:
        raise _Silent(f"{python} ended with status {done.returncode} and no answer") from None
    if not isinstance(answer, dict):
        raise _Silent(f"{python} answered something else")
    return answer
