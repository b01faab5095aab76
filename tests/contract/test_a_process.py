"""A: the process under test: the ready server is the launched process, and nothing is left after the test.

The matrix leaves these checks out because its targets run in one process. `test_targets_process.py` has their faults.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lumen_conformance.contract.expectations import describe, expect_equal
from lumen_conformance.contract.session import ContractSession
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.registry.declaration import check
from lumen_conformance.registry.refutation import expect
from lumen_conformance.run import Run
from lumen_conformance.stages.observations import is_port_free
from lumen_conformance.targets.launch import LaunchedTarget, Launcher
from lumen_conformance.targets.readiness import Readiness
from lumen_conformance.targets.target import Target

pytestmark = [pytest.mark.needs("launch"), pytest.mark.process]


@check("A1", source="this suite: its results must be about the launched server")
def test_ready_is_ours(proxy: ContractSession) -> None:
    """The ready server is a process of the launch, and it answers with status 200."""
    server = proxy.server
    assert isinstance(server, LaunchedTarget)
    health = server.health()
    found = f"a child that ended with status {server.exit_status()}"
    expect(server.exit_status() is None, "a live child", found)
    expect(health.ready, f"a ready answer of {server.target.probe_path}", describe(health.capture))
    expect(bool(server.listeners()), f"a process of the launch that listens on port {server.port}", "none")
    if server.ready is not None:
        expect_equal(health.instance, server.ready.instance, "the instance that answers")


@pytest.fixture
def ended(run: Run, target: Target, echo_gateway: ScriptedGateway, tmp_path: Path) -> Iterator[LaunchedTarget]:
    """A launch that has answered once and was stopped."""
    with Launcher(run, target, tmp_path / "launch", readiness=Readiness.of(run)) as launches:
        launched = launches(gateway=echo_gateway)
        launched.chat("안녕")
        launched.end()
        yield launched


@check("A3", source="this suite: a process or port that is left changes later tests")
def test_nothing_stays_behind(ended: LaunchedTarget) -> None:
    """After the stop no process of the launch is left, its port is free, and its output is in files."""
    orphans = ended.ending.orphans if ended.ending else ("the launch itself",)
    expect(orphans == (), "no process of the launch", f"left: {', '.join(map(str, orphans))}")
    expect(ended.ref.state() == "gone", "the launched process is gone", f"it is {ended.ref.state()}")
    expect(is_port_free(ended.port), f"port {ended.port} is free", "it is still in use")
    missing = [path.name for path in (ended.stdout, ended.stderr) if not path.is_file()]
    expect(not missing, "output in two files", f"missing: {', '.join(missing)}")
