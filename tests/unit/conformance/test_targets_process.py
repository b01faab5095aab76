"""The checks A1 and A3 fail when another process answers, when a server ends, and when it leaves a process behind.

`test_launch.py` tests the launches; here the checks themselves run.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from lumen_conformance.contract.session import ContractSession
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.processes.squatters import Squatters
from lumen_conformance.registry.refutation import Refuted
from lumen_conformance.run import Run
from lumen_conformance.targets.launch import Launcher
from lumen_conformance.targets.target import Target
from tests.contract import test_a_process as a_process
from tests.fixtures.suite_subprocess import forwarder
from tests.fixtures.suite_subprocess import run as judged

FAKE_PROXY = Path(__file__).parents[2] / "fixtures" / "fake_proxy.py"
TESTS = ("tests/contract/test_a_process.py",)


def test_a_healthy_server(tmp_path: Path) -> None:
    """A correct server passes both; by URL, without a launch, both are skipped."""
    ended = judged(tmp_path / "command", f"--proxy-command={forwarder()}", tests=TESTS)
    assert (ended.status, ended.ids("passed")) == (0, {"A1", "A3"}), ended.output
    by_url = judged(tmp_path / "url", "--proxy-url=http://127.0.0.1:9", "--proxy-model=m", tests=TESTS)
    assert by_url.ids("skipped") == {"A1", "A3"}, by_url.output


def test_a_server_that_ends(tmp_path: Path) -> None:
    """A server that ends with status 0 before it is ready is the one ERROR, with that status and its last output."""
    ended = judged(tmp_path, "--proxy-command=sh -c 'echo no license; exit 0'", "-k", "A1 or A3", tests=TESTS)
    assert (ended.status, ended.ids("error"), ended.ids("skipped")) == (1, {"A1"}, {"A3"}), ended.output
    assert re.search(r"ended with exit status 0\b.*no license", ended.output, re.DOTALL)


def test_a_stranger_who_answers(run: Run, squat: Squatters, gateway: ScriptedGateway, tmp_path: Path) -> None:
    """A1 fails where another process answers with 200 instead of the running child."""
    deaf = Target(command=(sys.executable, str(FAKE_PROXY), "{port}", "deaf"), can=frozenset({"health"}))
    with Launcher(run, deaf, tmp_path / "launch") as launches:
        proxy = launches(port=squat("banner").port, ready=False)
        assert proxy.health(within_s=5).ready
        with pytest.raises(Refuted, match="a process of the launch that listens"):
            a_process.test_ready_is_ours(ContractSession(proxy, gateway))


@pytest.mark.skipif("not hasattr(__import__('os'), 'setsid')", reason="Windows has no sessions")
def test_a_server_that_leaves_a_daemon(tmp_path: Path) -> None:
    """A server that leaves a daemon behind fails in A3, and the daemon is ended."""
    ended = judged(tmp_path, f"--proxy-command={forwarder('daemon')}", "-k", "A3", tests=TESTS)
    assert (ended.status, ended.ids("failed")) == (1, {"A3"}), ended.output
    assert "left behind by this run" not in ended.output  # it was ended long before the run was
