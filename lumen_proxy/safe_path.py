"""Nothing of the current folder is imported, neither by this process nor by the processes that it starts.

`python -m` puts the current folder first on `sys.path`; an empty or relative entry of PYTHONPATH means it, too. There
a file that is named like a module, such as `random.py`, would run in the place of that module. See docs/adr/0011.

This module is imported before any other, so it imports only what Python has already loaded when it starts.
"""

import os
import sys


def leave_current_folder() -> None:
    """Remove the current folder from `sys.path` and from the PYTHONPATH of child processes. Call it first."""
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
    """The beginning of a command line that runs a module of ours without the current folder on its path.

    `-P` and not `-I` or `-E`: PYTHONPATH is still read. Raises Fatal (69) where this process found the package in the
    current folder only, since a child process would not find it.
    """
    if not any(finder.find_spec("lumen_proxy", None) for finder in sys.meta_path if hasattr(finder, "find_spec")):
        from lumen_proxy.errors import Exit, Fatal  # noqa: PLC0415 - see the top

        folder = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - pathlib is not loaded yet
        problem = "lumen-proxy is not installed for this Python, and the current folder is not searched for modules"
        raise Fatal(f'{problem}; install it: {sys.executable} -m pip install "{folder}"', Exit.UNAVAILABLE)
    return (sys.executable, "-P", "-m", module)


def _current_folder() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - see the top
    except OSError:  # the folder has been deleted
        return ""
