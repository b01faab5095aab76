"""Removes old logs of ports that are no longer used. No process rotates them, so each start removes them.

Only logs whose file is opened for each line are removed: an old modification time then means that all lines are old,
even if an instance uses the port. The journal and the console log of a port stay; they are small.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from typing import TYPE_CHECKING

from lumen_proxy.logs.rotation import DAY_S, FIRST_LINE_BYTES

if TYPE_CHECKING:
    from pathlib import Path

OWN_NAMES = re.compile(r"(?:worker|alerts-[a-z]+)-\d{1,5}\.jsonl(?:\.\d+)?")


def remove_old_logs(log_dir: Path, days: int) -> None:
    """Remove each file with the name and content of a log whose last write is more than `days` ago."""
    with contextlib.suppress(OSError):
        for path in list(log_dir.iterdir()):
            with contextlib.suppress(OSError):
                if OWN_NAMES.fullmatch(path.name) and _is_old(path, days) and _is_log(path):
                    path.unlink(missing_ok=True)


def _is_old(path: Path, days: int) -> bool:
    return path.is_file() and not path.is_symlink() and time.time() - path.stat().st_mtime > days * DAY_S


def _is_log(path: Path) -> bool:
    with path.open("rb") as file:
        first = file.read(FIRST_LINE_BYTES).split(b"\n")[0]
    try:
        line = json.loads(first)
    except ValueError:
        return False
    return isinstance(line, dict) and {"ts", "event"} <= line.keys()
