"""Keep the current folder out of the module search path, in this process and in its child processes.

`python -m` puts the current folder first on `sys.path`, and an empty or relative entry of PYTHONPATH adds it, too. A
file in it with the name of a module, such as `random.py`, would then replace that module. See docs/adr/0011.

This module is imported before any other, so it imports only modules that Python loads at its start.
"""

import os
import sys


def leave_current_folder() -> None:
    """Remove the current folder from `sys.path` and from PYTHONPATH. Call it before other imports."""
    if not sys.flags.safe_path and sys.path and sys.path[0] in {"", _current_folder()}:
        del sys.path[0]
    given = os.environ.get("PYTHONPATH", "")
    entries = given.split(os.pathsep) if given else []
    kept = [entry for entry in entries if os.path.isabs(entry)]  # noqa: PTH117 - pathlib is not loaded yet
    if kept != entries:
        dropped = {os.path.abspath(entry) for entry in entries} - set(kept)  # noqa: PTH100 - same
        sys.path[:] = [entry for entry in sys.path if entry not in dropped]
        os.environ["PYTHONPATH"] = os.pathsep.join(kept)


def command(module: str) -> tuple[str, ...]:
    """The first part of a command line that runs a module of this package without the current folder on its path.

    `-P`, and not `-I` or `-E`, since PYTHONPATH is still needed. Raises Fatal (69) if the package is in the current
    folder only: a child process would not find it.
    """
    if not any(finder.find_spec("lumen_proxy", None) for finder in sys.meta_path if hasattr(finder, "find_spec")):
        from lumen_proxy.errors import Exit, Fatal  # noqa: PLC0415 - see the docstring of the module

        folder = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - pathlib is not loaded yet
        problem = "lumen-proxy is not installed for this Python, and the current folder is not searched for modules"
        raise Fatal(f'{problem}; install it: {sys.executable} -m pip install "{folder}"', Exit.UNAVAILABLE)
    return (sys.executable, "-P", "-m", module)


def _current_folder() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - pathlib is not loaded yet
    except OSError:  # the folder has been deleted
        return ""
