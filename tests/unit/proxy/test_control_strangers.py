"""Commands name another program on the port, even one that accepts no connections."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import pytest

from lumen_conformance.gateway.replies import respond_with
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.targets.launch import Launcher
from tests.fixtures.blackholes import NEEDS_LINUX, open_black_hole

# The owner is known after two connections of 0.5 s each, and 45 % of this time for /health: 3.7 s on an idle machine.
DIAGNOSE = "diagnose --within 6"  # the default is 15 s


def venv_of(command: str, folder: Path) -> tuple[str, ...]:
    """A missing environment for `diagnose`: the check of a real one takes 0.3 s of CPU time; both end with 69."""
    return ("--venv", str(folder / "missing")) if command.startswith("diagnose") else ()


@contextmanager
def bound_only() -> Iterator[int]:
    """A socket of this process that is bound and does not listen."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


FULL_QUEUE = (partial(open_black_hole, "127.0.0.1"), f"(pid {os.getpid()})")
BOUND_ONLY = (bound_only, "a process that does not listen")
COMMANDS = ["start", "status", "stop", DIAGNOSE, f"{DIAGNOSE} --no-start"]


@NEEDS_LINUX
@pytest.mark.parametrize(
    ("hold", "who", "command"),
    [
        *(pytest.param(*FULL_QUEUE, command, id=f"full-queue-{command}") for command in COMMANDS),
        *(pytest.param(*BOUND_ONLY, command, id=f"bound-only-{command}") for command in ("start", DIAGNOSE)),
    ],
)
def test_a_stranger_that_accepts_nothing(
    launch: Launcher,
    tmp_path: Path,
    hold: Callable[[], AbstractContextManager[int]],
    who: str,
    command: str,
) -> None:
    """Each command names a program that has the port but accepts no connections."""
    with hold() as number:
        paths = {"LUMEN_STATE_DIR": str(tmp_path), "LUMEN_LOG_DIR": str(tmp_path)}
        channels = {"LUMEN_GATEWAY_URL": "http://127.0.0.1:1", "CLOUD_AI_URL": "none"}
        arguments = [*command.split(), *venv_of(command, tmp_path)]
        done = launch.run(*arguments, env={"PROXY_PORT": str(number), **paths, **channels})
    output = done.stdout + done.stderr
    assert done.exit_status == (69 if "diagnose" in command else 75), output
    assert who in output
    assert "lumen-proxy start\n" not in output


@pytest.mark.parametrize("command", ["status", "diagnose"])
def test_a_stranger_with_deeply_nested_json(launch: Launcher, tmp_path: Path, command: str) -> None:
    """Deeply nested JSON from another program is not an internal error."""
    with ScriptedGateway(respond_with(b"[" * 65_000)) as stranger:
        paths = {"LUMEN_STATE_DIR": str(tmp_path), "LUMEN_LOG_DIR": str(tmp_path)}
        channels = {"LUMEN_GATEWAY_URL": stranger.url, "CLOUD_AI_URL": "none"}
        arguments = [command, *venv_of(command, tmp_path)]
        done = launch.run(*arguments, env={"PROXY_PORT": str(stranger.port), **paths, **channels})
    assert done.exit_status == (69 if command == "diagnose" else 75), done.stderr
    assert f"(pid {os.getpid()})" in done.stdout + done.stderr
