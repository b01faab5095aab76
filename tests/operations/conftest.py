"""One port, one set of folders, a gateway and a Cloud AI, and any command about them."""

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

SOON_S = 30.0  # a look takes milliseconds, a start of Python half a second; the rest is for a busy machine


def wrong_method(exchange: Exchange) -> bool:
    """A GET where only a POST is answered: 405, as the real channels say it."""
    found = (exchange.call.method, exchange.call.path) == ("GET", "/chat")
    if found:
        respond_with({"detail": "Method Not Allowed"}, 405)(exchange)
    return found


def gateway_lives(exchange: Exchange) -> None:
    """The gateway as it is on a good day."""
    if not wrong_method(exchange):
        echo(exchange)


def cloud_ai_lives(exchange: Exchange) -> None:
    """Cloud AI as it is on a good day."""
    if exchange.call.path not in {"/chat", "/health"}:
        respond_with({"detail": "Not Found"}, 404)(exchange)
    elif exchange.call.method == "GET" and exchange.call.path == "/health":
        respond_with({"status": "healthy", "version": "1.0.0", "pipeline_ready": True})(exchange)
    elif not wrong_method(exchange):
        cloud_echo(exchange)


class Desk:
    """Where a person sits: a port, folders, addresses. Whatever runs on the port is stopped afterwards.

    `venv` is what `check` and `diagnose` are told to look at, unless a test names another one or sets it to ().
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

    def run(self, *words: str, env: Mapping[str, str | None] | None = None) -> CommandResult:
        """Run one command to its end."""
        return self.launch.run(*self.told(words), env={**self.env, **(env or {})}, gateway=self.gateway)

    def background(self, *words: str, env: Mapping[str, str | None] | None = None) -> ChildProcess:
        """Start a command that ends with the test."""
        launch, command = self.launch, [*self.launch.target.tool, *self.told(words)]
        environ, folder, planted = self.environ(env), launch.next_folder(), launch.target.shadow_names
        return launch.keep(
            ChildProcess(launch.run_tags, " ".join(words), command, environ, folder, shadow_names=planted)
        )

    def told(self, words: tuple[str, ...]) -> tuple[str, ...]:
        """The words of a command, with the environment that it looks at."""
        return (*words, *self.venv) if words[0] in {"check", "diagnose"} and "--venv" not in words else words

    def until_lines(self, child: ChildProcess, number: int) -> None:
        """Wait until a command in the background has printed so many lines."""

        def enough() -> bool:
            return child.stdout.read_bytes().count(b"\n") >= number

        until(f"{number} lines are printed", enough, within_s=SOON_S, give_up=child.end_reason)

    def pipe_to_nobody(self, *words: str, env: Mapping[str, str | None]) -> int:
        """Run a command whose reader leaves after the first line; return its exit status."""
        environ = self.environ(env)
        with subprocess.Popen(
            [*self.launch.target.tool, *self.told(words)], env=environ, stdout=subprocess.PIPE
        ) as process:
            if process.stdout:
                process.stdout.readline()
                process.stdout.close()
            try:
                return process.wait(SOON_S)
            finally:
                process.kill()

    def environ(self, env: Mapping[str, str | None] | None) -> dict[str, str]:
        """What a command is given."""
        mine = self.launch.target.environ(self.folder / "files", self.gateway.url)
        return merge(os.environ, mine, self.env, env or {})

    def diagnose(self, *words: str, env: Mapping[str, str | None] | None = None) -> dict[str, Any]:
        """What `diagnose --json` says; channels by their names."""
        done = self.run("diagnose", "--json", *words, env=env)
        found: dict[str, Any] = json.loads(done.stdout)
        assert done.exit_status == (0 if found["ok"] else 69), done.stderr
        return found | {channel["channel"]: channel for channel in found["channels"]}


@pytest.fixture
def cloud_ai() -> Iterator[ScriptedGateway]:
    """A scripted Cloud AI."""
    with ScriptedGateway(cloud_ai_lives) as opened:
        yield opened


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete environment, whose interpreter says so without an import of all packages, which costs 0.3 s of CPU."""
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
    """Everything well, except that the proxy is not running yet."""
    gateway.standing = gateway_lives
    one = Desk(launch, tmp_path, gateway, cloud_ai, environment)
    yield one
    end_daemons(tmp_path)
