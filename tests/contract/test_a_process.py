"""A: the process under test: whoever is ready is ours, and nothing stays behind.

These are about launches, so the matrix, whose targets live in one process, leaves them out; what turns them red is in
`tests/unit/conformance/test_targets_process.py`.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lumen_conformance.contract.expectations import describe, expect_equal
from lumen_conformance.contract.session import Talk
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.registry.declaration import check
from lumen_conformance.registry.refutation import expect
from lumen_conformance.run import Run
from lumen_conformance.stages.observations import is_port_free
from lumen_conformance.targets.launch import LaunchedTarget, Launcher
from lumen_conformance.targets.readiness import Readiness
from lumen_conformance.targets.target import Target

pytestmark = [pytest.mark.needs("launch"), pytest.mark.process]


@check("A1")
def test_ready_is_ours(talk: Talk) -> None:
    """Whoever is ready is a live child that answers 200, and the process that answers is ours."""
    proxy = talk.proxy
    assert isinstance(proxy, LaunchedTarget)
    health = proxy.health()
    expect(proxy.exit_status() is None, "a live child", f"a child that ended with status {proxy.exit_status()}")
    expect(health.ready, f"an answer of {proxy.target.probe_path} that says ready", describe(health.capture))
    expect(bool(proxy.listeners()), f"a process of the launch that listens on port {proxy.port}", "none")
    if proxy.ready is not None:
        expect_equal(health.instance, proxy.ready.instance, "the instance that answers")


@pytest.fixture
def ended(run: Run, target: Target, echoing: ScriptedGateway, tmp_path: Path) -> Iterator[LaunchedTarget]:
    """A launch that has answered once and was asked to stop."""
    with Launcher(run, target, tmp_path / "launch", readiness=Readiness.of(run)) as launches:
        launched = launches(gateway=echoing)
        launched.chat("안녕")
        launched.end()
        yield launched


@check("A3")
def test_nothing_stays_behind(ended: LaunchedTarget) -> None:
    """After the test no process of the launch is left, its port is free, and its output went to files."""
    orphans = ended.ending.orphans if ended.ending else ("the launch itself",)
    expect(orphans == (), "no process of the launch", f"left: {', '.join(map(str, orphans))}")
    expect(ended.ref.state() == "gone", "the launched process is gone", f"it is {ended.ref.state()}")
    expect(is_port_free(ended.port), f"port {ended.port} is free", "it is still in use")
    missing = [path.name for path in (ended.stdout, ended.stderr) if not path.is_file()]
    expect(not missing, "output in two files", f"missing: {', '.join(missing)}")
