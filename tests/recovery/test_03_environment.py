"""Scenario 3: is the environment that should run the proxy complete?

Cast: a healthy environment made without a network, `lumen-proxy check --venv` run by a healthy interpreter (a
dangling one cannot run any code of ours), and a second witness: the environment's own interpreter, asked directly.
Below, the same check is shown environments that are damaged in one way each.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lumen_conformance.registry import Check, check, check_each
from lumen_conformance.stages import virtual_environments
from lumen_conformance.stages.evidence import stage
from lumen_conformance.targets.launch import Launcher
from lumen_conformance.targets.target import Target

UNAVAILABLE = 69
PREFIX = "import sys; print(sys.prefix)"
WHERE = "import {0}, importlib.metadata as m; print({0}.__file__, m.version('{0}'))"


@dataclass(frozen=True)
class Environment:
    """What `check --json` said, and what the environment's own interpreter said: (exit status, output) a question."""

    folder: str
    exit_status: int
    report: dict[str, Any]
    message: str
    prefix: tuple[int | None, str]
    flask: tuple[int | None, str]
    requests: tuple[int | None, str]

    def row(self, name: str) -> dict[str, Any]:
        """One row of the report."""
        rows = [row for row in self.report.get("checks", []) if row.get("id") == name]
        assert len(rows) == 1, f"check --json has {len(rows)} rows for {name}: {self.message}"
        assert self.exit_status == (0 if all(row["ok"] for row in self.report["checks"]) else UNAVAILABLE)
        return dict(rows[0])


def look(launch: Launcher, folder: Path) -> Environment:
    """Let `check` look at an environment, and ask its interpreter the same, all at once."""
    questions = [PREFIX, *(WHERE.format(name) for name in ("flask", "requests"))]
    with ThreadPoolExecutor(len(questions)) as pool:
        answers = pool.map(partial(virtual_environments.run_interpreter, folder), questions)
        done = launch.run("check", "--venv", str(folder), "--json")
        prefix, flask, requests = answers
    try:
        report = json.loads(done.stdout)
    except ValueError:
        report = {}
    return Environment(str(folder), done.exit_status, report, done.stderr, prefix, flask, requests)


@stage(scenario=3)
def environment(launch: Launcher, target: Target, folder: Path) -> Environment:
    """Make a healthy environment (damaged only by the suite's own tests) and look at it."""
    venv = virtual_environments.create_healthy(folder / "venv")
    if damage := virtual_environments.DAMAGES.get(target.mutation or ""):
        damage(venv)
    return look(launch, venv)


@check("3.1-venv-exists", title="가상 환경 존재")
def test_environment_exists(environment: Environment) -> None:
    """The virtual environment exists: its pyvenv.cfg is readable and the Python it was made from is there."""
    row = environment.row("venv")
    assert row["ok"], row["problem"]
    assert (Path(environment.folder) / "pyvenv.cfg").is_file()


@check("3.2-python-runs", title="Python 실행 가능")
def test_interpreter_runs(environment: Environment) -> None:
    """Its Python runs, and belongs to that very environment."""
    row = environment.row("python")
    assert row["ok"], row["problem"]
    status, prefix = environment.prefix
    assert status == 0, prefix
    assert Path(prefix).resolve() == Path(environment.folder).resolve()


INSIDE = "is imported from inside the environment, in the supported range."
MODULES = {
    Check("3.3-flask-installed", title="Flask 설치됨", claim=f"Flask {INSIDE}"): "flask",
    Check("3.4-requests-installed", title="requests 설치됨", claim=f"requests {INSIDE}"): "requests",
}


@check_each("module", MODULES)
def test_module_is_installed(environment: Environment, module: str) -> None:
    """The module is imported from inside the environment, in the supported range."""
    row = environment.row(module)
    assert row["ok"], row["problem"]
    status, said = getattr(environment, module)
    assert status == 0, said
    assert Path(said.split()[0]).resolve().is_relative_to(Path(environment.folder).resolve())


DECLARED = set(virtual_environments.declared())
RED_ROWS = {
    "folder-missing": {"venv", "python", *DECLARED},
    "interpreter-dangling": {"python", *DECLARED},
    "interpreter-missing": {"python", *DECLARED},
    "home-gone": {"venv"},
    "flask-missing": {"flask"},
    "flask-too-old": {"flask"},
    "requests-missing": {"requests"},
    "requests-too-old": {"requests"},
    "waitress-missing": {"waitress"},
    "only-requests": DECLARED - {"requests"},
}
"""Damage → the rows of `check` that must be red: what depends on a broken thing is not shown to work either."""


def told_as_damage(name: str) -> Check:
    rows = " and ".join(sorted(RED_ROWS[name])) if len(RED_ROWS[name]) < 3 else f"{len(RED_ROWS[name])} rows"
    return Check(
        f"3.5.{name}", claim=f"{name.replace('-', ' ').capitalize()}: 69, exactly {rows} red, each with a hint."
    )


@check_each("damage", {told_as_damage(name): name for name in RED_ROWS})
def test_damage_is_told(launch: Launcher, tmp_path: Path, damage: str) -> None:
    """A damaged environment gives 69, exactly the damaged rows are red, and each says how to repair it."""
    folder = virtual_environments.create_healthy(tmp_path / "venv")
    virtual_environments.DAMAGES[damage](folder)
    seen = look(launch, folder)
    red = {row["id"] for row in seen.report["checks"] if not row["ok"]}
    assert red == RED_ROWS[damage]
    assert seen.exit_status == UNAVAILABLE
    assert all(row["problem"] and row["hint"] for row in seen.report["checks"] if not row["ok"])
    assert "Traceback" not in seen.message
