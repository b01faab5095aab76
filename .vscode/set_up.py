"""The task "Lumen: Set Up": create .venv and install the project, unless both are done.

It needs Python 3.11 and no package. The other tasks depend on it, so it is quick when there is nothing to do.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
OLDEST = (3, 11)
EXTRA = "test"  # the recovery tasks run pytest
INSTALL = ("-m", "pip", "--disable-pip-version-check", "install", "-c", "constraints.txt", "-e", f".[{EXTRA}]")
LOOK_FOR = "import sys, importlib.metadata as m; [m.version(name) for name in sys.argv[1:]]"
UNAVAILABLE = 69


def main() -> int:
    """Return the exit status: 0 if the environment is ready now."""
    if sys.version_info < OLDEST:
        return failed(f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}", "install it")
    if is_complete():
        print("lumen-proxy: the environment .venv is ready")
        return 0
    print("lumen-proxy: setting up the environment .venv, about a minute", flush=True)
    if not runs("-m", "pip", "--version") and not is_created():
        return failed(".venv cannot be created", "read the lines above")
    if subprocess.call([str(PYTHON), *INSTALL], cwd=ROOT):
        return failed("the packages cannot be installed", "read the lines above, check the network, run the task again")
    print("lumen-proxy: the environment .venv is ready")
    return 0


def is_created() -> bool:
    """Make an empty environment, then put pip into it: two steps, since the second is missing on some systems."""
    empty = [sys.executable, "-m", "venv", "--clear", "--without-pip", str(VENV)]
    pip = [str(PYTHON), "-m", "ensurepip", "--default-pip"]
    return all(subprocess.call(command, cwd=ROOT) == 0 for command in (empty, pip))


def is_complete() -> bool:
    """True if the environment's Python runs and has every package that pyproject.toml names."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [*project.get("dependencies", []), *project.get("optional-dependencies", {}).get(EXTRA, [])]
    names = [re.split(r"[^\w.-]", requirement)[0] for requirement in wanted]
    return runs("-c", LOOK_FOR, project["name"], *names)


def runs(*arguments: str) -> bool:
    """True if the environment's Python ends with 0."""
    try:
        done = subprocess.run([str(PYTHON), *arguments], cwd=ROOT, capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == 0


def failed(problem: str, remedy: str) -> int:
    """Print one line and return the exit status."""
    print(f"lumen-proxy: {problem}; {remedy}", file=sys.stderr)
    return UNAVAILABLE


if __name__ == "__main__":
    sys.exit(main())
