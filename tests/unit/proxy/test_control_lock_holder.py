"""A stop ends the verified holder of the lock only."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lumen_conformance.gateway.replies import respond_with
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_proxy import config
from lumen_proxy.control import instances
from lumen_proxy.control.stop import stop_now
from lumen_proxy.errors import Fatal
from lumen_proxy.supervisor import instance_lock, process_identity, state

OWN = "http://127.0.0.1:1"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux names the owner of a lock")
def test_the_owner_of_the_lock_is_stopped(tmp_path: Path) -> None:
    """`stop` ends the owner of the lock, not the process that the state file names."""
    settings = config.load({"LUMEN_STATE_DIR": str(tmp_path), "LUMEN_LOG_DIR": str(tmp_path)}, {"port": "1"})
    wait = [sys.executable, "-c", "input()"]
    take = (
        "import pathlib, sys; from lumen_proxy.supervisor.instance_lock import claim; "
        "lock = claim(pathlib.Path(sys.argv[1]), 1); print(1, flush=True); input()"
    )
    with (
        subprocess.Popen(wait, stdin=subprocess.PIPE) as bystander,
        subprocess.Popen(
            [sys.executable, "-c", take, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as owner,
    ):
        assert owner.stdout is not None
        owner.stdout.readline()
        stamp, began = process_identity.start_stamp(bystander.pid), process_identity.start_time(bystander.pid) or 0.0
        known = state.InstanceState(
            "abc", bystander.pid, began, "localhost", (), 1, 1, "http://127.0.0.1:1", 1.0, "", "", sandbox=False
        )
        state.write(tmp_path / "proxy-1.json", dataclasses.replace(known, start_stamp=stamp))
        assert stop_now(settings).pid == owner.pid
        assert bystander.poll() is None
        bystander.kill()


def test_a_proxy_of_another_user_is_not_signalled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of another user is not signalled (75), and `status` shows its user."""
    settings = config.load({"LUMEN_STATE_DIR": str(tmp_path), "LUMEN_LOG_DIR": str(tmp_path)}, {"port": "1"})
    lock = instance_lock.claim(tmp_path, 1)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        users = {os.getpid(): "me", stranger.pid: "somebody"}
        monkeypatch.setattr(process_identity, "user_name", users.get)
        monkeypatch.setattr(process_identity, "lock_owner", lambda *_: stranger.pid)
        monkeypatch.setattr(process_identity, "describe_other_program", lambda _: None)
        result, status = stop_now(settings), instances.inspect(settings)
        assert stranger.poll() is None
        stranger.kill()
    lock.release()
    assert (result.did, result.exit_status) == ("refused", 75)
    assert f"user somebody (pid {stranger.pid})" in result.problems[0]
    assert status.owner == f"user somebody (pid {stranger.pid})"


@pytest.mark.parametrize(("user", "exit_status"), [("somebody", 77), (None, 74)], ids=["other-user", "unknown"])
def test_a_hidden_start_is_not_signalled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: str | None, exit_status: int
) -> None:
    """A process with a hidden start is not signalled, and the error has what is known."""
    settings = config.load({"LUMEN_STATE_DIR": str(tmp_path), "LUMEN_LOG_DIR": str(tmp_path)}, {"port": "1"})
    known = state.InstanceState("abc", 4242, 1.0, "localhost", (), 1, 1, OWN, 1.0, "", "", sandbox=False)
    state.write(tmp_path / "proxy-1.json", known)
    lock = instance_lock.claim(tmp_path, 1)
    monkeypatch.setattr(process_identity, "lock_owner", lambda *_: None)
    monkeypatch.setattr(process_identity, "holds_lock", lambda *_: None)
    monkeypatch.setattr(process_identity, "start_stamp", lambda _: None)
    monkeypatch.setattr(process_identity, "start_time", lambda _: None)
    monkeypatch.setattr(process_identity, "user_name", lambda _: user)
    with pytest.raises(Fatal) as verdict:
        stop_now(settings)
    assert verdict.value.exit_status == exit_status
    assert instances.inspect(settings, within_s=0.1).pid == (4242 if user else None)
    assert str(lock.path) in str(verdict.value)
    lock.release()


def test_an_inaccessible_lock_is_no_instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that cannot be checked is not taken for an instance of this user, and `stop` raises 77."""
    monkeypatch.setattr(instance_lock, "is_locked", lambda _: None)
    with ScriptedGateway(respond_with({"service": "lumen-proxy", "instance": "0123456789abcdef"})) as somebody:
        port = {"port": str(somebody.port)}
        settings = config.load({"LUMEN_STATE_DIR": str(tmp_path), "LUMEN_LOG_DIR": str(tmp_path)}, port)
        assert instances.inspect(settings).condition == "another"
        with pytest.raises(Fatal, match=r"cannot check the lock .*\.lock.*LUMEN_STATE_DIR") as verdict:
            stop_now(settings)
    assert verdict.value.exit_status == 77
    assert instances.inspect(settings).condition == "stopped"
