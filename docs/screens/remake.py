"""Make the pictures of this folder anew: `python docs/screens/remake.py`, from the top of the repository.

Needs tmux, and rich (which comes with import-linter). No network: the proxy runs in sandbox mode, on a free port.
"""

from __future__ import annotations

import io
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from rich.console import Console
from rich.text import Text

FOLDER = Path(__file__).parent
USUAL, WIDE = (80, 24), (104, 40)  # columns, lines
LOOKS_S = 8.0  # until the curves have begun
PROMPT = re.compile(r"(\x1b\[[\d;]*m)*(\$ |bash-)")
SHELL = "bash --norc --noprofile"


def free_port() -> int:
    """A port that is free now; nothing but a picture depends on it."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


class RecordedTerminal:
    """A terminal in which commands are typed."""

    def __init__(self, folder: Path, size: tuple[int, int], environ: dict[str, str]) -> None:
        self.columns, lines = size
        self._tmux = ["tmux", "-f", os.devnull, "-S", str(folder / f"tmux-{lines}")]
        self._environ = environ
        self._run("new-session", "-d", "-x", str(self.columns), "-y", str(lines), SHELL)

    def _run(self, *arguments: str) -> str:
        command = [*self._tmux, *arguments]
        done = subprocess.run(  # noqa: S603 - its own arguments
            command, env=self._environ, capture_output=True, encoding="utf-8", check=True
        )
        return done.stdout

    def after(self, line: str, seconds: float) -> str:
        """Type a line, wait, and return the screen with its colours, without the prompt that follows."""
        self._run("send-keys", f"clear; {line}", "Enter")
        threading.Event().wait(seconds)
        screen = self._run("capture-pane", "-p", "-e")
        return "\n".join(line for line in screen.split("\n") if not PROMPT.match(line))

    def close(self) -> None:
        """End it and what runs in it."""
        self._run("kill-server")


def save(name: str, screen: str, columns: int) -> None:
    """As a picture, and as plain text."""
    text = Text.from_ansi(screen.replace(sys.prefix, ".venv").rstrip())
    console = Console(record=True, width=columns, file=io.StringIO(), force_terminal=True, legacy_windows=False)
    console.print(text)
    svg = console.export_svg(title=f"lumen-proxy {name}")
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)  # a picture must not call for fonts of the web
    (FOLDER / f"{name}.svg").write_text("\n".join(map(str.rstrip, svg.splitlines())) + "\n", encoding="utf-8")
    plain = "\n".join(line.rstrip() for line in text.plain.split("\n"))
    (FOLDER / f"{name}.txt").write_text(plain + "\n", encoding="utf-8")


def main() -> None:
    """Take all pictures."""
    lumen = f"{sys.executable} -m lumen_proxy"
    with tempfile.TemporaryDirectory() as folder:
        files = {"LUMEN_STATE_DIR": folder, "LUMEN_LOG_DIR": folder, "PROXY_PORT": str(free_port())}
        dead = {"LUMEN_GATEWAY_URL": "http://127.0.0.1:9", "CLOUD_AI_URL": "http://127.0.0.1:9/chat"}
        environ = {**os.environ, **files, **dead, "LC_ALL": "C.UTF-8", "PS1": "$ ", "TERM": "screen-256color"}
        wide, usual = (RecordedTerminal(Path(folder), size, environ) for size in (WIDE, USUAL))
        try:
            for name, options in (("diagnose-red", "--no-start"), ("diagnose-green", "--sandbox")):
                save(name, wide.after(f"{lumen} diagnose {options}", LOOKS_S), wide.columns)
            save("dashboard", usual.after(f"{lumen} dashboard --watch 1", LOOKS_S), usual.columns)
        finally:
            wide.after(f"{lumen} stop", LOOKS_S)
            wide.close()
            usual.close()


if __name__ == "__main__":
    main()
