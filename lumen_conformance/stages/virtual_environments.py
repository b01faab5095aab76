"""Virtual environments for a check: a healthy one, created without a network, and ways to damage it.

It has the declared dependencies of the proxy and what they need, without pip, hard-linked from the environment of the
suite (copied where the file system has no hard links).
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from lumen_conformance.inject import lumen_guard

WINDOWS = os.name == "nt"
INTERPRETER_TIMEOUT_S = 20.0  # a cold import of Flask takes 0.4 s here; fifty times that for a machine under load


def interpreter(folder: Path) -> Path:
    """Return the path of the interpreter of an environment, whether it exists or not."""
    return folder / "Scripts" / "python.exe" if WINDOWS else folder / "bin" / "python"


def site_packages(folder: Path) -> Path:
    """Return the folder of its packages."""
    if WINDOWS:
        return folder / "Lib" / "site-packages"
    return folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"


def create_healthy(folder: Path, *names: str) -> Path:
    """Create a healthy environment in `folder` (which must not exist yet) and return `folder`.

    It has the named distributions and what they need; the default is all that the proxy declares.
    """
    venv.EnvBuilder(with_pip=False, symlinks=not WINDOWS).create(folder)
    for name in sorted(set().union(*map(_needed, names or declared()))):
        _link_distribution(metadata.distribution(name), site_packages(folder))
    return folder


def declared() -> tuple[str, ...]:
    """Return the distributions that the proxy needs at run time, by its metadata."""
    return tuple(_names(metadata.requires("lumen-proxy") or []))


def _names(requirements: list[str]) -> list[str]:
    return [re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in requirements if "extra ==" not in line]


def _needed(name: str) -> set[str]:
    """Return a distribution and all that it requires without extras, as far as installed."""
    found: set[str] = set()
    open_names = [name]
    while open_names:
        current = re.sub(r"[-_.]+", "-", open_names.pop()).lower()
        if current in found:
            continue
        try:
            requires = metadata.distribution(current).requires or []
        except metadata.PackageNotFoundError:
            continue  # a requirement for another system or version
        found.add(current)
        open_names += _names(requires)
    return found


def _link_distribution(distribution: metadata.Distribution, target: Path) -> None:
    for file in distribution.files or []:
        if file.is_absolute() or ".." in file.parts:
            continue  # scripts are in another folder
        destination = target / file
        destination.parent.mkdir(parents=True, exist_ok=True)
        source = str(file.locate())
        with contextlib.suppress(FileNotFoundError):  # bytecode that was removed since
            _link(source, destination)


def _link(source: str, destination: Path) -> None:
    """Link a file, or copy it with its time: bytecode stays valid, so that imports are fast."""
    try:
        os.link(source, destination)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copy2(source, destination)


def _remove(module: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        for entry in site_packages(folder).glob(f"{module}*"):
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()

    return damage


def _remove_all_but(distribution: str) -> Callable[[Path], None]:
    """Return a function that removes all declared distributions but one."""

    def damage(folder: Path) -> None:
        for name in set(declared()) - {distribution}:
            _remove(name.replace("-", "_"))(folder)

    return damage


def _age(module: str) -> Callable[[Path], None]:
    """Return a function that sets the version in the metadata to one that is too old."""

    def damage(folder: Path) -> None:
        (record,) = site_packages(folder).glob(f"{module}-*.dist-info")
        text = (record / "METADATA").read_text("utf-8")
        (record / "METADATA").unlink()  # it may be a hard link into the running environment
        (record / "METADATA").write_text(re.sub(r"(?m)^Version: .*$", "Version: 0.0.1", text, count=1), "utf-8")
        record.rename(record.with_name(f"{module}-0.0.1.dist-info"))

    return damage


def _empty(module: str) -> Callable[[Path], None]:
    """Return a function that empties a module, as an interrupted installation does."""

    def damage(folder: Path) -> None:
        initial = site_packages(folder) / module / "__init__.py"
        initial.unlink()  # it may be a hard link into the running environment
        initial.write_text("", "utf-8")

    return damage


def _break_link(folder: Path) -> None:
    python = interpreter(folder)
    python.unlink()
    if WINDOWS:
        python.write_bytes(b"")  # no program
    else:
        python.symlink_to(folder / "no-such-interpreter")


def _remove_home(folder: Path) -> None:
    """Name a Python that does not exist, as after an upgrade of the system."""
    (folder / "pyvenv.cfg").write_text(f"home = {folder / 'no-such-python'}\n", "utf-8")


DAMAGES: dict[str, Callable[[Path], None]] = {
    "folder-missing": shutil.rmtree,
    "interpreter-dangling": _break_link,
    "interpreter-missing": lambda folder: interpreter(folder).unlink(),
    "home-gone": _remove_home,
    "flask-missing": _remove("flask"),
    "flask-too-old": _age("flask"),
    "flask-torn": _empty("flask"),
    "requests-missing": _remove("requests"),
    "requests-too-old": _age("requests"),
    "werkzeug-missing": _remove("werkzeug"),
    "waitress-missing": _remove("waitress"),
    "only-requests": _remove_all_but("requests"),
}
"""Name → function that damages a healthy environment."""


def run_interpreter(folder: Path, code: str) -> tuple[int | None, str]:
    """Run code in the interpreter of an environment; return exit status (None: it cannot run) and output."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    clean["PYTHONPATH"] = lumen_guard.HERE  # the guard, and no other folder outside the environment
    try:
        done = subprocess.run(
            [interpreter(folder), "-c", code],
            capture_output=True, encoding="utf-8", errors="replace", check=False, env=clean,
            timeout=INTERPRETER_TIMEOUT_S,
        )  # fmt: skip
    except OSError as refused:
        return None, str(refused)
    return done.returncode, (done.stdout + done.stderr).strip()
