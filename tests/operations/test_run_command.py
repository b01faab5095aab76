"""``lumen-conformance run`` as a process: baselines, old records, the current folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from lumen_conformance.cli.exit_status import ExitStatus
from lumen_conformance.processes import shadow_modules
from tests.fixtures.nested_pytest import inherited
from tests.fixtures.suite_subprocess import RUN_BUDGET_S

SERVER = f"{sys.executable} -P -m lumen_conformance.examples.forwarder {{host}} {{port}} {{gateway_url}}"


def run(folder: Path, *arguments: str, server: str = SERVER) -> subprocess.CompletedProcess[str]:
    """Judge the server from this folder."""
    command = [sys.executable, "-P", "-m", "lumen_conformance", "run", "contract", "--command", server, *arguments]
    temporary = folder / "temporary"  # of its own: what the command writes elsewhere is no leak
    temporary.mkdir(exist_ok=True)
    environ = inherited() | {"PYTEST_DEBUG_TEMPROOT": os.fspath(temporary)}
    return subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, encoding="utf-8", errors="replace",
        timeout=RUN_BUDGET_S, check=False,
    )  # fmt: skip


def test_a_baseline(tmp_path: Path) -> None:
    """A written baseline turns the same failures green; a failure that it does not list stays red."""
    broken = f"{SERVER} own-404"
    red = run(tmp_path, "--only", "F1.2", "--write-baseline", "known.txt", server=broken)
    assert red.returncode == ExitStatus.FAILED, red.stdout + red.stderr
    known = tmp_path / "known.txt"
    known.write_text(known.read_text("utf-8").replace("\n", "  known\n"), "utf-8")
    listed = run(tmp_path, "--only", "F1.2", "--baseline", "known.txt", server=broken)
    assert listed.returncode == ExitStatus.OK, f"{known.read_text('utf-8')}\n{listed.stdout}{listed.stderr}"
    assert "1 baselined" in listed.stdout


def test_no_record_after_an_invalid_option(tmp_path: Path) -> None:
    """A run that is refused leaves no record of the run before it, which could be merged in its place."""
    first = run(tmp_path, "--only", "C1.1")
    assert first.returncode == ExitStatus.OK, first.stdout + first.stderr
    record = tmp_path / "conformance-report" / "record.jsonl"
    assert record.is_file()
    assert run(tmp_path, "--only", "C1.1", "--shard", "9/2").returncode == ExitStatus.USAGE
    assert not record.exists()


def test_modules_of_the_current_folder(tmp_path: Path) -> None:
    """Neither the command nor its parallel workers import a module of the current folder."""
    shadow_modules.write_modules(tmp_path, [*shadow_modules.USUAL_NAMES, "pytest", "execnet/", "conftest"])
    ended = run(tmp_path, "--only", "C1.1", "-n", "1")
    assert shadow_modules.find_imported(tmp_path) == ()
    assert ended.returncode == ExitStatus.OK, ended.stdout + ended.stderr
