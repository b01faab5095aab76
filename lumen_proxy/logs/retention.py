"""Logs of ports that are no longer used: nobody rotates them, so a start drops those that are too old.

Only what is written line by line into files that are opened for each: whether somebody serves there or not, all of
its lines are older than they are kept. The journal of a port stays, it is small, and so do the console's words.
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

OURS = re.compile(r"(?:worker|alerts-[a-z]+)-\d{1,5}\.jsonl(?:\.\d+)?")


def drop(log_dir: Path, days: int) -> None:
    """Remove what bears one of our names, begins like a log of ours, and was last written to before that many days."""
    with contextlib.suppress(OSError):
        for path in list(log_dir.iterdir()):
            with contextlib.suppress(OSError):
                if OURS.fullmatch(path.name) and _is_old(path, days) and _is_log(path):
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
