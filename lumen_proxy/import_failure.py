"""Explain a failed import in one line: which module, and how to repair the environment."""

from __future__ import annotations

import errno
import os
import sys
from importlib.util import find_spec, resolve_name
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from lumen_proxy import dependencies

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType, TracebackType

OWN_PACKAGE = "lumen_proxy"
OUT_OF_RESOURCES = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}  # another attempt may succeed without a repair


def explain(error: BaseException) -> str | None:
    """The module that cannot be imported, and the remedy. None if no import of another package failed."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in OUT_OF_RESOURCES):
        return None
    chain = list(_imports(error.__traceback__))
    name = _failed(error) or (chain[-1] if chain else "")
    package = name.partition(".")[0]
    if package == OWN_PACKAGE and isinstance(error, ModuleNotFoundError):
        return f"{_problem(name, error)}; lumen-proxy itself is not completely installed: install it again"
    if package in {"", OWN_PACKAGE}:
        return None
    missing = dependencies.missing()
    if isinstance(error, ModuleNotFoundError) and package in {one.module for one in missing}:
        return dependencies.describe_missing(missing)
    return f"{_problem(name, error)}; {_remedy([name, *chain], missing)}"


def _problem(name: str, error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"the module {name} cannot be imported: {type(error).__name__}: {text}"


def _remedy(chain: list[str], missing: tuple[dependencies.Dependency, ...]) -> str:
    """Install the first declared dependency of `chain` again, with all that are missing."""
    packages = [name.partition(".")[0] for name in chain]
    for package in packages:
        if package != OWN_PACKAGE and (folder := _folder_of_pythonpath(package)):
            return f"{package} is found in {folder}, not in {sys.prefix}: remove that folder from PYTHONPATH"
    declared = next(filter(None, map(dependencies.BY_MODULE.get, packages)), None)
    if packages[0] in sys.stdlib_module_names:
        return f"the Python of {sys.base_prefix} is incomplete: install it again, then recreate the environment"
    if declared is None:
        return dependencies.recreate_advice(Path(sys.prefix))
    needed = [one for one in dependencies.DEPENDENCIES if one is declared or one in missing]
    return f"repair it: {dependencies.install_command(needed, replace=True)}"


def _folder_of_pythonpath(package: str) -> str | None:
    """The entry of PYTHONPATH that contains the package; None if it is in the environment, where pip repairs it."""
    try:
        spec = find_spec(package)
    except (ImportError, ValueError):
        return None
    where = [*(spec.submodule_search_locations or [spec.origin or ""])] if spec else []
    folders = {Path(path).resolve().parent for path in where}
    for entry in filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)):
        folder = Path(entry).resolve()
        if folder in folders and not folder.is_relative_to(Path(sys.prefix).resolve()):
            return entry
    return None


def _failed(error: BaseException) -> str | None:
    """The module that the error names: it is missing or broken, or lacks an attribute."""
    if isinstance(error, ImportError):
        return error.name
    if isinstance(error, AttributeError) and isinstance(error.obj, ModuleType):
        name = error.obj.__name__
        return None if name.partition(".")[0] in sys.stdlib_module_names else name
    return None


def _imports(trace: TracebackType | None) -> Iterator[str]:
    """The modules that were being imported when the error was raised, in the order of their import."""
    last: tuple[FrameType, int] | None = None
    while trace:
        frame = trace.tb_frame
        if not frame.f_code.co_filename.startswith("<frozen importlib"):
            last = frame, trace.tb_lasti
            if frame.f_code.co_name == "<module>" and frame.f_globals.get("__name__") != "__main__":
                yield str(frame.f_globals.get("__name__"))
        trace = trace.tb_next
    if last and (name := _imported_at(*last)):
        yield name


def _imported_at(frame: FrameType, offset: int) -> str | None:
    """The module that the instruction at `offset` imports; None for another instruction."""
    import dis  # noqa: PLC0415 - needed after a failure only

    code = list(dis.get_instructions(frame.f_code))
    place = next((place for place, one in enumerate(code) if one.offset == offset), 0)
    if code[place].opname != "IMPORT_NAME":
        return None
    level = code[place - 2].argval  # the instructions are, in this order: level, names, import
    dots = "." * level if isinstance(level, int) else ""
    return resolve_name(dots + str(code[place].argval), frame.f_globals.get("__package__") or "")
