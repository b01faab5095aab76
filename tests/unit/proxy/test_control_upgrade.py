"""When a port can be handed over, and what the command says about the old proxy."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lumen_proxy import config, platform
from lumen_proxy.control import upgrade
from lumen_proxy.control.result import ControlResult
from lumen_proxy.errors import Exit
from lumen_proxy.supervisor import handover_socket, state
from lumen_proxy.supervisor.state import InstanceState
from tests.unit.proxy.test_supervisor_state import sample


@pytest.fixture
def known() -> InstanceState:
    """The state of a running instance: this process."""
    return replace(sample(os.getpid()), host="127.0.0.1")


@pytest.mark.parametrize(
    ("host", "can_pass", "offers", "reason"),
    [
        ("127.0.0.1", True, True, None),
        ("localhost", True, True, "the host changes from 127.0.0.1 to localhost"),
        ("127.0.0.1", False, True, "this system cannot pass sockets to another process"),
        ("127.0.0.1", True, False, "the running proxy does not offer it"),
    ],
)
def test_the_reason_is_named(
    known: InstanceState, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, host: str, *, can_pass: bool, offers: bool,
    reason: str | None,
) -> None:  # fmt: skip
    """A port is handed over on the same host, where sockets can be passed, by an instance that offers it."""
    monkeypatch.setattr(platform, "can_pass_descriptors", lambda: can_pass)
    monkeypatch.setattr(handover_socket, "is_offered", lambda _, instance: offers and instance == known.instance)
    settings = config.load({"LUMEN_STATE_DIR": str(tmp_path)}, {"port": "8080", "host": host})
    assert upgrade.why_impossible(settings, known) == reason


@pytest.mark.parametrize("system", ["win32", "linux", "darwin"])
def test_systems_that_pass_sockets(system: str) -> None:
    """Windows cannot pass sockets through a Unix socket; Linux and macOS can."""
    assert platform.can_pass_descriptors(system) is (system != "win32")


FAILED = ControlResult("failed", Exit.SOFTWARE, 8080, problems=("it has failed",))


@pytest.mark.parametrize(("phase", "serves_on"), [("serving", True), ("draining", False), ("ending", False)])
def test_a_failure_says_what_the_old_proxy_does(
    known: InstanceState, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, phase: str, *, serves_on: bool
) -> None:
    """If the new proxy fails, a line says that the old one keeps serving, unless that one is being stopped."""
    monkeypatch.setattr(upgrade, "launch", lambda *_, **__: FAILED)
    monkeypatch.setattr(state, "is_alive", lambda _: True)
    state.write(state.state_path(tmp_path, known.port), replace(known, phase=phase))
    settings = config.load({"LUMEN_STATE_DIR": str(tmp_path)}, {"port": str(known.port)})
    result = upgrade.upgrade(settings, {}, known, restart_lock=9, notify=print, show=print)
    assert any("keeps serving" in line for line in result.problems) is serves_on
    assert result.problems[0] == "it has failed"


def test_an_old_proxy_that_has_just_ended_is_no_error(
    known: InstanceState, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Another command may end the old proxy just before the new one starts: the new one then says so itself."""
    monkeypatch.setattr(upgrade, "launch", lambda *_, **__: FAILED)
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    settings = config.load({"LUMEN_STATE_DIR": str(tmp_path)}, {"port": str(known.port)})
    result = upgrade.upgrade(
        settings, {}, replace(known, pid=ended.pid, start_stamp=None), restart_lock=9, notify=print, show=print
    )
    assert result.problems == ("it has failed",)
