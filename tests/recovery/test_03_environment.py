"""Scenario 3: `lumen-proxy check` finds whether a virtual environment can run the proxy.

Setup: a healthy environment that is created without a network, `lumen-proxy check --venv` in a healthy interpreter (a
dangling one runs no code), and the interpreter of the environment itself for comparison. The last checks run the
command on environments with one damage each.
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
from lumen_conformance.stages.stage_steps import StageStep
from lumen_conformance.targets.launch import Launcher
from lumen_conformance.targets.target import Target

UNAVAILABLE = 69
AT_ONCE = 3  # damaged environments: all took 31 s one after the other, and 10 s so, at a load of 23 to 30 on two cores
PREFIX = "import sys; print(sys.prefix)"
WHERE = "import {0}, importlib.metadata as m; print({0}.__file__, m.version('{0}'))"


@dataclass(frozen=True)
class EnvironmentEvidence(StageStep):
    """The report of `check --json`, and the exit status and the output of the environment's interpreter."""

    folder: str
    exit_status: int
    report: dict[str, Any]
    message: str
    prefix: tuple[int | None, str]
    flask: tuple[int | None, str]
    requests: tuple[int | None, str]

    def row(self, name: str) -> dict[str, Any]:
        """Return one row of the report."""
        rows = [row for row in self.report.get("checks", []) if row.get("id") == name]
        assert len(rows) == 1, f"check --json has {len(rows)} rows for {name}: {self.message}"
        assert self.exit_status == (0 if all(row["ok"] for row in self.report["checks"]) else UNAVAILABLE)
        return dict(rows[0])


def inspect(launch: Launcher, folder: Path) -> EnvironmentEvidence:
    """Run `check` on an environment, and code in its interpreter, at the same time."""
    codes = [PREFIX, *(WHERE.format(name) for name in ("flask", "requests"))]
    with ThreadPoolExecutor(len(codes)) as pool:
        results = pool.map(partial(virtual_environments.run_interpreter, folder), codes)
        done = launch.run("check", "--venv", str(folder), "--json")
        prefix, flask, requests = results
    report = parse_report(done.stdout)
    return EnvironmentEvidence(str(folder), done.exit_status, report, done.stderr, prefix, flask, requests)


def parse_report(text: str) -> dict[str, Any]:
    """Return the report of `check --json`, empty if it is none."""
    try:
        return dict(json.loads(text))
    except ValueError:
        return {}


@stage(scenario=3)
def environment(launch: Launcher, target: Target, folder: Path) -> EnvironmentEvidence:
    """Create a healthy environment (damaged only in the suite's own tests) and inspect it."""
    venv = virtual_environments.create_healthy(folder / "venv")
    if damage := virtual_environments.DAMAGES.get(target.mutation or ""):
        damage(venv)
    return inspect(launch, venv)


@check("3.1-venv-exists", title="가상 환경 확인", source="PEP 405: pyvenv.cfg, and the Python that its key home names")
def test_environment_exists(environment: EnvironmentEvidence) -> None:
    """The virtual environment exists: its pyvenv.cfg is readable, and the Python that created it exists."""
    row = environment.row("venv")
    assert row["ok"], row["problem"]
    assert (Path(environment.folder) / "pyvenv.cfg").is_file()


@check("3.2-python-runs", title="Python 실행 확인", source="PEP 405: sys.prefix is the folder of the environment")
def test_interpreter_runs(environment: EnvironmentEvidence) -> None:
    """Its Python runs, and has the prefix of the environment."""
    row = environment.row("python")
    assert row["ok"], row["problem"]
    status, prefix = environment.prefix
    assert status == 0, prefix
    assert Path(prefix).resolve() == Path(environment.folder).resolve()


INSIDE = "is imported from inside the environment, in the supported range."
MODULES = {
    Check("3.3-flask-installed", title="Flask 설치 확인", claim=f"Flask {INSIDE}"): "flask",
    Check("3.4-requests-installed", title="requests 설치 확인", claim=f"requests {INSIDE}"): "requests",
}


@check_each("module", MODULES, source="pyproject.toml: dependencies; PEP 405: packages of the environment come first")
def test_module_is_installed(environment: EnvironmentEvidence, module: str) -> None:
    """The module is imported from inside the environment, in the supported range."""
    row = environment.row(module)
    assert row["ok"], row["problem"]
    status, output = getattr(environment, module)
    assert status == 0, output
    assert Path(output.split()[0]).resolve().is_relative_to(Path(environment.folder).resolve())


DECLARED = set(virtual_environments.declared())
FAILED_ROWS = {
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
"""Damage → the rows of `check` that must fail: a row fails, too, when it depends on what is damaged."""


def describe_damage(name: str) -> Check:
    rows = " and ".join(sorted(FAILED_ROWS[name])) if len(FAILED_ROWS[name]) < 3 else f"{len(FAILED_ROWS[name])} rows"
    return Check(
        f"3.5-{name}",
        claim=f"{name.replace('-', ' ').capitalize()}: exit status 69, exactly {rows} failed, each with a hint.",
    )


@dataclass(frozen=True)
class DamageEvidence(StageStep):
    """The report of `check --json` on an environment with one damage."""

    exit_status: int
    report: dict[str, Any]
    message: str


@dataclass(frozen=True)
class DamagesEvidence:
    """What `check` says about each damaged environment, by damage."""

    environments: dict[str, DamageEvidence]


@stage(scenario=3)
def damages(launch: Launcher, folder: Path) -> DamagesEvidence:
    """Create environments with one damage each, and inspect them, some at the same time."""

    def inspect_damage(name: str) -> DamageEvidence:
        venv = virtual_environments.create_healthy(folder / name)
        virtual_environments.DAMAGES[name](venv)
        done = launch.run("check", "--venv", str(venv), "--json")
        return DamageEvidence(done.exit_status, parse_report(done.stdout), done.stderr)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return DamagesEvidence(dict(zip(FAILED_ROWS, pool.map(inspect_damage, FAILED_ROWS), strict=True)))


@check_each(
    "damage",
    {describe_damage(name): name for name in FAILED_ROWS},
    source="sysexits(3): EX_UNAVAILABLE is 69; QUICKSTART.md: 5.5 and 5.6",
)
def test_damage_is_reported(damages: DamagesEvidence, damage: str) -> None:
    """A damaged environment gives exit status 69; exactly the damaged rows fail, and each has a hint for the repair."""
    evidence = damages.environments[damage]
    failed = [row for row in evidence.report.get("checks", []) if not row["ok"]]
    assert {row["id"] for row in failed} == FAILED_ROWS[damage]
    assert evidence.exit_status == UNAVAILABLE
    assert all(row["problem"] and row["hint"] for row in failed)
    assert "Traceback" not in evidence.message
