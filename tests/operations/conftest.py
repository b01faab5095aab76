"""The fixture `desk`: a port, folders, a scripted gateway and Cloud AI, and commands of the proxy about them."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from lumen_conformance.gateway.exchange import Exchange
from lumen_conformance.gateway.replies import cloud_echo, echo, respond_with
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.processes.child_process import WINDOWS, ChildProcess
from lumen_conformance.stages import virtual_environments
from lumen_conformance.targets.launch import CommandResult, Launcher
from lumen_conformance.targets.target import merge
from lumen_conformance.waiting import until
from tests.fixtures.daemons import end_daemons

SOON_S = 30.0  # a request takes milliseconds, a start of Python half a second; the rest is for a busy machine


def wrong_method(exchange: Exchange) -> bool:
    """Answer GET /chat with 405, as the real channels do; return whether it was one."""
    is_wrong = (exchange.call.method, exchange.call.path) == ("GET", "/chat")
    if is_wrong:
        respond_with({"detail": "Method Not Allowed"}, 405)(exchange)
    return is_wrong


def healthy_gateway(exchange: Exchange) -> None:
    """Answer as a healthy gateway."""
    if not wrong_method(exchange):
        echo(exchange)


def healthy_cloud_ai(exchange: Exchange) -> None:
    """Answer as a healthy Cloud AI."""
    if exchange.call.path not in {"/chat", "/health"}:
        respond_with({"detail": "Not Found"}, 404)(exchange)
    elif exchange.call.method == "GET" and exchange.call.path == "/health":
        respond_with({"status": "healthy", "version": "1.0.0", "pipeline_ready": True})(exchange)
    elif not wrong_method(exchange):
        cloud_echo(exchange)


class Desk:
    """A port, folders and addresses for commands. An instance on the port is stopped after the test.

    `venv` is the option of `check` and `diagnose` for the environment; a test may name another one or set it to ().
    """

    def __init__(
        self, launch: Launcher, folder: Path, gateway: ScriptedGateway, cloud_ai: ScriptedGateway, environment: Path
    ) -> None:
        self.launch = launch
        self.folder = folder
        self.port = launch.reserve_port()
        self.gateway = gateway
        self.cloud_ai = cloud_ai
        self.venv: tuple[str, ...] = ("--venv", str(environment))
        self.env: dict[str, str | None] = {
            "LUMEN_STATE_DIR": str(folder / "state"),
            "LUMEN_LOG_DIR": str(folder / "log"),
            "PROXY_PORT": str(self.port),
            "CLOUD_AI_URL": f"{cloud_ai.url}/chat",
        }

    def run(self, *command: str, env: Mapping[str, str | None] | None = None) -> CommandResult:
        """Run one command to its end."""
        return self.launch.run(*self.complete(command), env={**self.env, **(env or {})}, gateway=self.gateway)

    def background(self, *command: str, env: Mapping[str, str | None] | None = None) -> ChildProcess:
        """Start a command that ends with the test."""
        launch, argv = self.launch, [*self.launch.target.tool, *self.complete(command)]
        environ, folder, planted = self.environ(env), launch.next_folder(), launch.target.shadow_names
        return launch.keep(
            ChildProcess(launch.run_tags, " ".join(command), argv, environ, folder, shadow_names=planted)
        )

    def complete(self, command: tuple[str, ...]) -> tuple[str, ...]:
        """The command with the option for the environment, if it has that option and lacks it."""
        has_venv = command[0] not in {"check", "diagnose"} or "--venv" in command
        return command if has_venv else (*command, *self.venv)

    def until_lines(self, child: ChildProcess, number: int) -> None:
        """Wait until a background command has printed `number` lines."""

        def enough() -> bool:
            return child.stdout.read_bytes().count(b"\n") >= number

        until(f"{number} lines are printed", enough, within_s=SOON_S, give_up=child.end_reason)

    def run_with_closed_pipe(self, *command: str, env: Mapping[str, str | None]) -> int:
        """Run a command and close its standard output after the first line; return its exit status."""
        environ = self.environ(env)
        with subprocess.Popen(
            [*self.launch.target.tool, *self.complete(command)], env=environ, stdout=subprocess.PIPE
        ) as process:
            if process.stdout:
                process.stdout.readline()
                process.stdout.close()
            try:
                return process.wait(SOON_S)
            finally:
                process.kill()

    def environ(self, env: Mapping[str, str | None] | None) -> dict[str, str]:
        """The environment of a command."""
        mine = self.launch.target.environ(self.folder / "files", self.gateway.url)
        return merge(os.environ, mine, self.env, env or {})

    def diagnose(self, *options: str, env: Mapping[str, str | None] | None = None) -> dict[str, Any]:
        """The result of `diagnose --json`; each channel also by its name."""
        done = self.run("diagnose", "--json", *options, env=env)
        found: dict[str, Any] = json.loads(done.stdout)
        assert done.exit_status == (0 if found["ok"] else 69), done.stderr
        return found | {channel["channel"]: channel for channel in found["channels"]}


@pytest.fixture
def cloud_ai() -> Iterator[ScriptedGateway]:
    """A scripted Cloud AI."""
    with ScriptedGateway(healthy_cloud_ai) as opened:
        yield opened


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete environment. Its interpreter is a script: a real import of all packages takes 0.3 s of CPU time."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    if WINDOWS:
        return virtual_environments.create_healthy(folder)
    rows: list[dict[str, object]] = [
        {"name": name, "versions": [metadata.version(name)], "file": str(folder / name)}
        for name in virtual_environments.declared()
    ]
    rows.append({"prefix": str(folder), "version": sys.version_info[:3]})
    python = virtual_environments.interpreter(folder)
    python.parent.mkdir(parents=True)
    (folder / "pyvenv.cfg").write_text(f"home = {folder}\n", "utf-8")
    python.write_text("\n".join(["#!/bin/sh", *(f"echo {shlex.quote(json.dumps(row))}" for row in rows), ""]), "utf-8")
    python.chmod(0o755)
    return folder


@pytest.fixture
def desk(
    launch: Launcher, tmp_path: Path, gateway: ScriptedGateway, cloud_ai: ScriptedGateway, environment: Path
) -> Iterator[Desk]:
    """A port with healthy channels, on which no proxy runs yet."""
    gateway.standing = healthy_gateway
    one = Desk(launch, tmp_path, gateway, cloud_ai, environment)
    yield one
    end_daemons(tmp_path)
