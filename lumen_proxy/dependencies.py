"""The dependencies of the package, and the commands that install them and create an environment.

Standard library only, since `check` also runs where no dependency is installed. A test compares the table with
pyproject.toml.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

Version = tuple[int, ...]


@dataclass(frozen=True)
class Dependency:
    """One distribution: its name for pip, its module, and its versions: from `low`, before `below`."""

    name: str
    module: str
    low: Version = ()
    below: Version = ()

    @property
    def supported(self) -> str:
        """The versions for pip, such as `>=3,<4`; empty for any version."""
        bounds = ((">=", self.low), ("<", self.below))
        return ",".join(sign + ".".join(map(str, bound)) for sign, bound in bounds if bound)

    @property
    def requirement(self) -> str:
        """Name and versions for pip."""
        return self.name + self.supported

    def supports(self, version: str) -> bool:
        """Whether the release is supported; anything after the numbers of a version is ignored."""
        release = re.match(r"\d+(?:\.\d+)*", version)
        if release is None:
            return False
        numbers = tuple(map(int, release[0].split(".")))
        return self.low <= numbers and (not self.below or numbers < self.below)


DEPENDENCIES = (
    Dependency("flask", "flask", (3,), (4,)),
    Dependency("requests", "requests", (2, 31), (3,)),
    Dependency("platformdirs", "platformdirs", (4,)),
    Dependency("prometheus-client", "prometheus_client", (0, 22)),
    Dependency("psutil", "psutil", (7,)),
    Dependency("regex", "regex"),
    Dependency("waitress", "waitress", (3, 0, 2), (4,)),
    Dependency("wcwidth", "wcwidth", (0, 9)),
    Dependency("werkzeug", "werkzeug", (3,), (4,)),
)
PYTHON = "py -3" if os.name == "nt" else "python3"  # in advice without a known interpreter
NEW_VENV = ".venv"  # in advice, relative to the current folder
BY_MODULE = {dependency.module: dependency for dependency in DEPENDENCIES}


def missing() -> tuple[Dependency, ...]:
    """The dependencies that this interpreter cannot find; none is imported."""
    return tuple(one for one in DEPENDENCIES if importlib.util.find_spec(one.module) is None)


def describe_missing(dependencies: Iterable[Dependency]) -> str:
    """The modules that are missing, and the command that installs them."""
    names = [one.module for one in dependencies]
    problem, them = ("module {} is", "it") if len(names) == 1 else ("modules {} are", "them")
    return f"the {problem.format(', '.join(names))} missing; install {them}: {install_command(dependencies)}"


def install_command(dependencies: Iterable[Dependency], *, python: str = "", replace: bool = False) -> str:
    """The pip command; `replace` also installs again what pip finds installed."""
    requirements = " ".join(f'"{one.requirement}"' for one in dependencies)
    return f"{_quoted(python or sys.executable)} -m pip install {'--force-reinstall ' if replace else ''}{requirements}"


def is_venv(folder: Path) -> bool:
    """Whether it is a virtual environment, even a broken one, and not an installation of Python."""
    return (folder / "pyvenv.cfg").is_file()


def recreate_advice(venv: Path) -> str:
    """How to create it again. `--clear` empties the folder, and so is not advised for a folder with other files."""
    if is_venv(venv):
        return f"recreate the environment: {PYTHON} -m venv --clear {_quoted(str(venv))}"
    if venv.exists():
        return f"{venv} is not a virtual environment; create one: {PYTHON} -m venv {NEW_VENV}"
    return f"create it: {PYTHON} -m venv {_quoted(str(venv))}"


def _quoted(path: str) -> str:
    return f'"{path}"' if " " in path else path
