"""An environment of its own for each server; nothing is done when it has the same pins already."""

from __future__ import annotations

import json
import shutil
import subprocess
import venv
from pathlib import Path

from league.launcher import ROOT, SCRIPTS
from league.servers import LeagueServer

SETUP_S = 900  # a slow index, and a machine that does other things, too; a minute or two are usual


def set_up(server: LeagueServer) -> None:
    """Install a server; raises subprocess.CalledProcessError, subprocess.TimeoutExpired or OSError."""
    wanted = json.dumps([server.bare, server.pins, server.overrides])
    ready = server.folder / ".ready"
    if ready.exists() and ready.read_text("utf-8") == wanted:
        return
    shutil.rmtree(server.folder, ignore_errors=True)
    (_node if server.npm else _python)(server)
    ready.write_text(wanted, "utf-8")


def _python(server: LeagueServer) -> None:
    venv.create(server.folder, with_pip=True)
    python = str(server.folder / SCRIPTS / "python")
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    if server.bare:
        _run([*pip, "--no-deps", "--only-binary=:all:", *server.bare], ROOT)
    if server.pins:
        _run([*pip, *server.pins], ROOT)


def _node(server: LeagueServer) -> None:
    server.folder.mkdir()
    pins = dict(pin.rsplit("@", 1) for pin in server.pins)
    package = {"private": True, "dependencies": pins, "overrides": server.overrides}
    (server.folder / "package.json").write_text(json.dumps(package), "utf-8")
    npm = shutil.which("npm") or "npm"
    _run([npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], server.folder)


def _run(command: list[str], cwd: Path) -> None:
    subprocess.run(
        command, cwd=cwd, check=True, timeout=SETUP_S, capture_output=True, encoding="utf-8", errors="replace"
    )
