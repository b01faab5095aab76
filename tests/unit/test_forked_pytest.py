"""Nested runs in forked processes."""

import os
import subprocess
from pathlib import Path

import pytest

from lumen_conformance.run import Run
from tests.fixtures import forked_pytest
from tests.fixtures.nested_pytest import NestedPytest, inherited
from tests.fixtures.repository import ROOT

HANGS = '"""Hangs."""\nimport threading\ndef test_hangs():\n    """It hangs."""\n    threading.Event().wait()\n'
FINE = '"""Fine."""\ndef test_fine():\n    """It holds."""\n'


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="every run is a new process there")
PATHS = '''"""Paths."""
import sys
def test_paths():
    """It holds."""
    assert any(path.endswith("of-this-run") for path in sys.path)
'''


def test_a_run_with_another_path(nested: NestedPytest) -> None:
    """A run that has a folder on PYTHONPATH imports from it, although the outer run does not have it."""
    nested.write({"unit/test_paths.py": PATHS})
    environ = inherited()
    environ["PYTHONPATH"] = os.pathsep.join(filter(None, (environ.get("PYTHONPATH"), str(ROOT), "/of-this-run")))
    ended = forked_pytest.run_pytest(["-p", "no:cacheprovider"], nested.folder, environ, within_s=60)
    assert (ended.status, b"1 passed" in ended.output) == (0, True), ended.output.decode()


@needs_fork
def test_a_server_that_has_ended(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fork server that ends before it answers is reported with its exit status."""
    program = tmp_path / "server.py"
    program.write_text("raise SystemExit(3)", "utf-8")
    monkeypatch.setattr(forked_pytest, "PROGRAM", program)
    server = forked_pytest.ForkServer(run)
    try:
        with pytest.raises(RuntimeError, match="the fork server has ended with exit status 3: "):
            server.serve([], tmp_path, {}, within_s=60)
    finally:
        server.kill()


@needs_fork
def test_a_run_that_hangs_does_not_reach_the_next(nested: NestedPytest) -> None:
    """A run that does not end in time is killed, and the next run has its own exit status and output."""
    nested.write({"unit/test_hangs.py": HANGS})
    environ = inherited()
    with pytest.raises(subprocess.TimeoutExpired):
        forked_pytest.run_pytest(["-p", "no:cacheprovider"], nested.folder, environ, within_s=0.5)
    nested.write({"unit/test_hangs.py": FINE})
    ended = forked_pytest.run_pytest(["-p", "no:cacheprovider"], nested.folder, environ, within_s=60)
    assert (ended.status, b"1 passed" in ended.output) == (0, True), ended.output.decode()
