"""A package that is installed but cannot be imported: one line with the module and the remedy, 69, no restart."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

import lumen_proxy
from lumen_conformance.inject import lumen_mutation
from lumen_conformance.targets.journal import JournalReader
from lumen_conformance.targets.launch import Launcher
from lumen_proxy import dependencies, import_failure

REPAIR = "-m pip install --force-reinstall "


def copied(module: str, folder: Path) -> Path:
    """A copy of an installed package that an import finds before the real one."""
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    ignored = shutil.ignore_patterns("__pycache__")
    return Path(shutil.copytree(Path(spec.origin).parent, folder / module, ignore=ignored))


def before_the_rest(folder: Path) -> dict[str, str]:
    """The environment of a process that searches `folder` first, as a part of the installation."""
    faults = folder / "faults.py"
    faults.write_text(f"import sys\nMUTATIONS = {{'path': lambda _: sys.path.insert(0, {str(folder)!r})}}\n", "utf-8")
    return {lumen_mutation.NAME: "path", lumen_mutation.FILE: str(faults)}


def on_the_pythonpath(folder: Path) -> dict[str, str]:
    """The environment of a process that searches `folder` first, because of PYTHONPATH."""
    return {
        "PYTHONPATH": os.pathsep.join([os.environ["PYTHONPATH"], str(folder), str(Path(*lumen_proxy.__path__).parent)])
    }


def write(name: str, text: str | bytes) -> Callable[[Path], object]:
    """Damage: the file has other content."""
    content = text.encode() if isinstance(text, str) else text
    return lambda package: [path.write_bytes(content) for path in package.glob(name)]


def remove(name: str) -> Callable[[Path], object]:
    """Damage: the file is missing."""
    return lambda package: [path.unlink() for path in package.glob(name)]  # type: ignore[func-returns-value]


Damage = tuple[str, Callable[[Path], object], str, str, str]
DAMAGES: dict[str, Damage] = {
    "file-of-zeros": ("waitress", write("task.py", bytes(99)), "waitress.task", "", "waitress>=3.0.2,<4"),
    "syntax-error-in-what-flask-needs": (
        "jinja2",
        write("lexer.py", "def ("),
        "jinja2.lexer",
        "SyntaxError",
        "flask>=3,<4",
    ),
    "library-missing": ("regex", remove("_regex*.so"), "regex", "ImportError", "regex"),
    "library-torn": ("regex", write("_regex*.so", b"\x7fELF"), "_regex", "ImportError", "regex"),
    "attribute-error": (
        "prometheus_client",
        write("registry.py", "import os\nos.nothing\n"),
        "prometheus_client.registry",
        "AttributeError",
        "prometheus-client>=0.22",
    ),
    "system-library-missing": (
        "waitress",
        write("task.py", "import ctypes\nctypes.CDLL('libnothing.so.1')\n"),
        "waitress.task",
        "OSError",
        "waitress>=3.0.2,<4",
    ),
    "empty": ("flask", write("__init__.py", ""), "flask", "ImportError", "flask>=3,<4"),
}
"""Package, damage, module that the line names, error that it names, requirement that is installed again."""


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_worker_that_cannot_be_imported_is_one_line(launch: Launcher, damage: Damage, tmp_path: Path) -> None:
    """69, one line with the module and a declared dependency, and no second worker."""
    package, change, module, error, requirement = damage
    change(copied(package, tmp_path))
    logs = {"LUMEN_LOG_DIR": str(tmp_path / "log"), "PROXY_PORT": "0"}
    done = launch.run("serve", env=before_the_rest(tmp_path) | logs)
    assert_one_line(done.stderr, module, error, f'{REPAIR}"{requirement}"')
    assert done.exit_status == 69
    assert len(JournalReader(tmp_path / "log", lambda: None).events(name="worker_spawned")) == 1


def test_warnings_of_packages_are_not_printed(launch: Launcher, tmp_path: Path) -> None:
    """They are for developers, so standard error is empty."""
    module = copied("lumen_proxy", tmp_path) / "options.py"
    with module.open("a", encoding="utf-8") as file:
        file.write("import warnings\nwarnings.warn('a new release is out', FutureWarning, stacklevel=1)\n")
    done = launch.run("config", env=before_the_rest(tmp_path))
    assert (done.exit_status, done.stderr) == (0, "")


@pytest.mark.parametrize("damage", ["syntax-error-in-what-flask-needs", "library-torn"])
def test_a_package_of_pythonpath_is_not_repaired_by_pip(launch: Launcher, damage: str, tmp_path: Path) -> None:
    """The line names the folder in PYTHONPATH, since an installation would not change what is found first."""
    package, change, module, error, _ = DAMAGES[damage]
    change(copied(package, tmp_path))
    done = launch.run("serve", env=on_the_pythonpath(tmp_path) | {"PROXY_PORT": "0"})
    remedy = f"is found in {tmp_path}, not in {sys.prefix}: remove that folder from PYTHONPATH"
    assert_one_line(done.stderr, module, error, remedy)
    assert "pip" not in done.stderr.replace(str(tmp_path), "")
    assert done.exit_status == 69


ALERTS = {"LUMEN_WEBHOOK_URL": "http://127.0.0.1:1/"}  # requests is needed to send alerts only
Case = tuple[str, str, str, tuple[str, ...], str, Mapping[str, str | None]]
COMMANDS: dict[str, Case] = {
    "requests": ("requests", "", "AttributeError", ("watch",), "requests>=2.31,<3", ALERTS),
    "psutil": ("psutil", "def (", "SyntaxError", ("serve",), "psutil>=7", {"PROXY_PORT": "0"}),
    "platformdirs": ("platformdirs", "def (", "SyntaxError", ("config",), "platformdirs>=4", {"LUMEN_STATE_DIR": None}),
}
"""Package, content of its `__init__.py`, error, command, requirement that is installed again, environment."""


@pytest.mark.parametrize("case", COMMANDS.values(), ids=COMMANDS)
def test_a_command_that_cannot_import_is_one_line(launch: Launcher, case: Case, tmp_path: Path) -> None:
    """69 and the same line from each command that needs the package."""
    package, content, error, command, requirement, environ = case
    (copied(package, tmp_path) / "__init__.py").write_text(content, "utf-8")
    done = launch.run(*command, env={**before_the_rest(tmp_path), **environ})
    assert_one_line(done.stderr, package, error, f'{REPAIR}"{requirement}"')
    assert done.exit_status == 69


@pytest.mark.parametrize(
    ("file", "command"),
    [("worker/process.py", ("serve",)), ("health/diagnosis.py", ("diagnose",))],
    ids=["worker", "command"],
)
def test_a_defect_of_lumen_proxy_is_an_internal_error(
    launch: Launcher, file: str, command: tuple[str, ...], tmp_path: Path
) -> None:
    """A syntax error in its own module is 70 without advice to install anything."""
    (copied("lumen_proxy", tmp_path) / file).write_text("def (", "utf-8")
    done = launch.run(*command, env=before_the_rest(tmp_path) | {"PROXY_PORT": "0", "LUMEN_MAX_RESTARTS": "1"})
    assert done.exit_status == 70
    assert "internal error: SyntaxError" in done.stderr
    assert "pip install" not in done.stderr
    assert "Traceback" not in done.stderr


REMEDIES = {
    "undeclared": (ModuleNotFoundError("No module named 'other'", name="other"), "recreate the environment: "),
    "of-python": (ImportError("libssl.so.3: cannot open shared object file", name="_ssl"), "is incomplete: install it"),
    "ours": (ModuleNotFoundError("No module named 'lumen_proxy.x'", name="lumen_proxy.x"), "install it again"),
}


@pytest.mark.parametrize(("error", "remedy"), REMEDIES.values(), ids=REMEDIES)
def test_only_declared_packages_are_installed_by_name(error: ImportError, remedy: str) -> None:
    """A module of Python, of lumen_proxy or of an unknown package is not an argument of pip."""
    line = import_failure.explain(error)
    assert line is not None
    assert remedy in line
    assert "pip install" not in line


@pytest.mark.skipif(sys.prefix == sys.base_prefix, reason="not run in a virtual environment")
@pytest.mark.parametrize(
    ("prefix", "advice"),
    [(sys.prefix, f"--clear {sys.prefix}"), (sys.base_prefix, ".venv")],
    ids=["environment", "installation"],
)
def test_an_installation_of_python_is_never_cleared(prefix: str, advice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--clear` is advised for a virtual environment only."""
    monkeypatch.setattr(sys, "prefix", prefix)
    line = import_failure.explain(ModuleNotFoundError("No module named 'other'", name="other"))
    assert line is not None
    assert line.endswith(f"{dependencies.PYTHON} -m venv {advice}")


@pytest.mark.parametrize(
    "error", ["MemoryError()", "OSError(24, 'Too many open files')"], ids=["memory", "descriptors"]
)
def test_a_lack_of_resources_is_no_broken_package(error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another attempt may succeed: it is neither permanent nor repaired by an installation."""
    module = tmp_path / "broken_by_lack.py"
    module.write_text(f"raise {error}", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises((MemoryError, OSError)) as raised:
        importlib.import_module(module.stem)
    assert import_failure.explain(raised.value) is None


def assert_one_line(message: str, module: str, error: str, remedy: str) -> None:
    (line,) = message.splitlines()
    assert re.match(rf"lumen-proxy: the module {re.escape(module)} cannot be imported: {error}", line), line
    assert line.endswith(remedy), line
