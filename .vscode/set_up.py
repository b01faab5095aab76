"""The task "Lumen: Set Up": create .venv and install the project, unless both are done.

The script needs Python 3.11 and no package. Each of the other tasks runs it first.
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
CHECK_VERSIONS = "import sys, importlib.metadata as m; [m.version(name) for name in sys.argv[1:]]"
UNAVAILABLE = 69


def main() -> int:
    """Set up the environment; return 0 if it is ready."""
    if sys.version_info < OLDEST:
        return failed(f"cannot set up .venv with Python {sys.version.split()[0]}: expected 3.11 or newer", "install it")
    if is_complete():
        print("lumen-proxy: the environment .venv is ready")
        return 0
    print("lumen-proxy: setting up the environment .venv, about a minute", flush=True)
    if not runs("-m", "pip", "--version") and not create_venv():
        return failed("cannot create .venv", "read the lines above, then run the task again")
    if subprocess.call([str(PYTHON), *INSTALL], cwd=ROOT):
        return failed("cannot install the packages", "check the lines above and the network, then run the task again")
    print("lumen-proxy: the environment .venv is ready")
    return 0


def create_venv() -> bool:
    """Create an environment without pip, then install pip, which some systems lack; return whether both worked."""
    empty = [sys.executable, "-m", "venv", "--clear", "--without-pip", str(VENV)]
    pip = [str(PYTHON), "-m", "ensurepip", "--default-pip"]
    return all(subprocess.call(command, cwd=ROOT) == 0 for command in (empty, pip))


def is_complete() -> bool:
    """True if the Python of the environment runs and has each package that pyproject.toml names."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [*project.get("dependencies", []), *project.get("optional-dependencies", {}).get(EXTRA, [])]
    names = [re.split(r"[^\w.-]", requirement)[0] for requirement in wanted]
    return runs("-c", CHECK_VERSIONS, project["name"], *names)


def runs(*arguments: str) -> bool:
    """True if the Python of the environment ends with 0."""
    try:
        done = subprocess.run([str(PYTHON), *arguments], cwd=ROOT, capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == 0


def failed(problem: str, remedy: str) -> int:
    """Print an error in one line; return the exit status."""
    print(f"lumen-proxy: {problem}; {remedy}", file=sys.stderr)
    return UNAVAILABLE


if __name__ == "__main__":
    sys.exit(main())
