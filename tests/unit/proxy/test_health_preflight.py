"""`check` for healthy and damaged environments, created without a network."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock
from venv import EnvBuilder

import pytest

from lumen_conformance.inject import lumen_guard
from lumen_conformance.stages import virtual_environments
from lumen_proxy import dependencies, platform
from lumen_proxy.health import preflight

PROJECT = Path(preflight.__file__).parents[2]


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that no test changes."""
    return virtual_environments.create_healthy(tmp_path_factory.mktemp("healthy") / "venv")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """An environment that a test may damage."""
    return virtual_environments.create_healthy(tmp_path / "venv")


def failed(venv: Path) -> set[str]:
    """The ids of the failed checks; each must have a problem and a hint."""
    report = preflight.check_environment(venv)
    bad = [check for check in report.checks if not check.ok]
    assert report.ok is not bool(bad)
    assert all(check.problem and check.hint for check in bad)
    return {check.id for check in bad}


def test_a_healthy_environment_has_no_problem(healthy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folder, interpreter and each dependency pass; the interpreter starts for its prefix and once for all modules."""
    run = Mock(wraps=subprocess.run)
    monkeypatch.setattr(subprocess, "run", run)
    report = preflight.check_environment(healthy)
    assert report.ok
    assert run.call_count == 2
    assert [check.id for check in report.checks] == ["venv", "python", *DECLARED]
    assert all(check.found and not check.problem and not check.hint for check in report.checks)
    version = ".".join(map(str, sys.version_info[:3]))
    first, second, *_ = report.lines()
    assert first.split(maxsplit=2) == ["ok", "venv", str(healthy)]
    assert second.split(maxsplit=2) == ["ok", "python", f"{virtual_environments.interpreter(healthy)} ({version})"]


DECLARED = [one.name for one in dependencies.DEPENDENCIES]
ALL = {"venv", "python", *DECLARED}


@pytest.mark.parametrize(
    ("damage", "ids"),
    [
        ("folder-missing", ALL),
        ("interpreter-dangling", ALL - {"venv"}),
        ("interpreter-missing", ALL - {"venv"}),
        ("home-gone", {"venv"}),
        ("flask-missing", {"flask"}),
        ("flask-too-old", {"flask"}),
        ("only-requests", {*DECLARED} - {"requests"}),
    ],
)
def test_damage_fails_its_own_check(copy: Path, damage: str, ids: set[str]) -> None:
    """Each damage fails its own check, and checks that are impossible because of it."""
    virtual_environments.DAMAGES[damage](copy)
    found = failed(copy)
    assert found >= ids
    assert found - ids <= {"python"}, "an environment without its base Python may not start"


def test_packages_from_outside_do_not_count(copy: Path, tmp_path: Path) -> None:
    """A module that is imported from outside the environment fails its check."""
    outside = tmp_path / "outside"
    inside = virtual_environments.site_packages(copy)
    outside.mkdir()
    (inside / "flask").rename(outside / "flask")
    (inside / "elsewhere.pth").write_text(str(outside))
    assert failed(copy) == {"flask"}


def test_an_environment_behind_a_link_is_healthy(healthy: Path, tmp_path: Path) -> None:
    """An environment behind a symbolic link is healthy."""
    link = tmp_path / "link"
    link.symlink_to(healthy, target_is_directory=True)
    assert not failed(link)


def script(venv: Path, text: str) -> None:
    """Replace the interpreter by a script."""
    python = platform.venv_python(venv)
    python.unlink()
    python.write_text(f"#!/bin/sh\n{text}\n")
    python.chmod(0o755)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a script as interpreter")
@pytest.mark.parametrize("text", ["exec sleep 60", "exit 3", "echo not json", "echo '[]'", "kill -9 $$"])
def test_an_interpreter_without_a_result_fails(copy: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """An interpreter that hangs, fails or prints something else fails its check within the deadline."""
    monkeypatch.setattr(preflight, "INTERPRETER_S", 0.5)
    script(copy, text)
    assert failed(copy) == ALL - {"venv"}


@pytest.mark.skipif(sys.platform == "win32", reason="needs a script as interpreter")
def test_an_old_python_is_too_old(copy: Path) -> None:
    """A Python that is too old fails its check."""
    answer = json.dumps({"prefix": str(copy), "version": [3, 10, 4]})
    script(copy, f"echo '{answer}'")
    (check,) = (check for check in preflight.check_environment(copy).checks if check.id == "python")
    assert not check.ok
    assert "is Python 3.10.4; expected 3.11 or newer" in str(check.problem)


def module_rows(venv: Path) -> dict[str, preflight.EnvironmentCheck]:
    """The checks of the dependencies by name."""
    return {check.id: check for check in preflight.check_environment(venv).checks if check.id in DECLARED}


def test_one_command_installs_all_that_is_missing(copy: Path) -> None:
    """All failed dependencies have the same hint, which installs each once; the problem names the supported range."""
    virtual_environments.DAMAGES["waitress-missing"](copy)
    virtual_environments.DAMAGES["flask-too-old"](copy)
    rows = module_rows(copy)
    (hint,) = {check.hint for check in rows.values() if not check.ok}
    assert rows["flask"].problem == "flask 0.0.1 is not supported; >=3,<4 is required"
    assert (
        hint == f'install: {virtual_environments.interpreter(copy)} -m pip install "flask>=3,<4" "waitress>=3.0.2,<4"'
    )


def test_a_damaged_package_is_reinstalled(copy: Path) -> None:
    """A package with metadata that cannot be imported needs --force-reinstall."""
    (virtual_environments.site_packages(copy) / "waitress" / "__init__.py").unlink()
    (virtual_environments.site_packages(copy) / "waitress" / "__init__.py").write_text("def (")
    (check,) = (check for check in module_rows(copy).values() if not check.ok)
    command = f'{virtual_environments.interpreter(copy)} -m pip install --force-reinstall "waitress>=3.0.2,<4"'
    assert check.hint == f"install: {command}"


@pytest.mark.parametrize("code", ["import os; os.abort()", "print('{}'); raise SystemExit"])
def test_a_module_that_ends_the_interpreter_hides_no_other(copy: Path, code: str) -> None:
    """A module that ends the interpreter fails, and the modules after it are still checked."""
    module = virtual_environments.site_packages(copy) / "psutil" / "__init__.py"
    module.unlink()
    module.write_text(code)
    virtual_environments.DAMAGES["waitress-missing"](copy)
    assert failed(copy) == {"psutil", "waitress"}


def test_a_path_with_a_space_is_quoted(tmp_path: Path) -> None:
    """A path with a space is quoted in the command."""
    folder = virtual_environments.create_healthy(tmp_path / "my venv", "requests")
    hint = module_rows(folder)["flask"].hint
    assert hint is not None
    assert hint.startswith(f'install: "{virtual_environments.interpreter(folder)}" -m pip install "flask>=3,<4" ')


def test_a_plain_python_is_not_changed(copy: Path) -> None:
    """Without a virtual environment the hint creates one and installs all packages there."""
    virtual_environments.DAMAGES["waitress-missing"](copy)
    (copy / "pyvenv.cfg").unlink()
    report = preflight.check_environment(copy)
    assert {"venv", "python"} <= {check.id for check in report.checks if not check.ok}
    text = "\n".join(report.lines())
    python, new = dependencies.PYTHON, platform.venv_python(Path(".venv"))
    assert f"{copy} is not a virtual environment; create one: {python} -m venv .venv\n" in text
    assert f"install all of them: {new} -m pip install " in text
    assert set(re.findall(r"\S+ -m pip", text)) == {f"{new} -m pip"}


def test_a_package_without_a_record_has_no_version(copy: Path) -> None:
    """A package whose record of its installation is missing fails: its version is not known."""
    (record,) = virtual_environments.site_packages(copy).glob("flask-*.dist-info")
    shutil.rmtree(record)
    row = module_rows(copy)["flask"]
    assert (row.found, row.problem) == (None, "flask: version unknown; >=3,<4 is required")


def test_check_needs_nothing_but_python(copy: Path, tmp_path: Path) -> None:
    """`check` works in an interpreter without any package and ends with 69."""
    virtual_environments.DAMAGES["flask-missing"](copy)
    code = (
        f"import sys; sys.path.insert(0, {str(PROJECT)!r}); from lumen_proxy.cli.main import main; "
        f"sys.exit(main(['check', '--json', '--venv', {str(copy)!r}]))"
    )
    EnvBuilder(symlinks=os.name != "nt").create(tmp_path / "bare")
    guarded = os.environ | {"PYTHONPATH": lumen_guard.HERE}
    command = [str(virtual_environments.interpreter(tmp_path / "bare")), "-c", code]
    done = subprocess.run(command, env=guarded, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (69, "")
    report = json.loads(done.stdout)
    assert report["venv"] == str(copy)
    assert [check["id"] for check in report["checks"] if not check["ok"]] == ["flask"]
    assert set(report["checks"][0]) == {"id", "ok", "found", "wanted", "problem", "hint", "detail"}
