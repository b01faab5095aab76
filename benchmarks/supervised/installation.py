"""The environments of the supervised servers; nothing is done when they have the same pins already.

The supervisors are small and need one environment; LiteLLM's proxy has the one of the league.
"""

from __future__ import annotations

import subprocess
import venv
from collections.abc import Iterable
from pathlib import Path

from supervised.servers import ENVIRONMENT, LITELLM, PINS, ROOT, SLOW, SupervisedServer

SETUP_S = 900  # a slow index, and a machine that does other things, too; a minute or two are usual


def set_up(servers: Iterable[SupervisedServer]) -> None:
    """Install what these servers need; raises subprocess.SubprocessError or OSError."""
    _install(ENVIRONMENT, PINS)
    for server in servers:
        if server in SLOW:
            _install(LITELLM, (server.pin,))


def _install(folder: Path, pins: tuple[str, ...]) -> None:
    ready = folder / ".ready-recovery"
    if ready.exists() and ready.read_text("utf-8") == "\n".join(pins):
        return
    if not (folder / "bin" / "python").exists():
        venv.create(folder, with_pip=True)
    python = str(folder / "bin" / "python")
    command = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *pins]
    subprocess.run(command, cwd=ROOT, check=True, timeout=SETUP_S)
    ready.write_text("\n".join(pins), "utf-8")
