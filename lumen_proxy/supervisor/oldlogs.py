"""Logs of ports that are no longer used: nobody rotates them, so a start drops those that are too old."""

from __future__ import annotations

import contextlib
import re
import time
from typing import TYPE_CHECKING

from lumen_proxy.rotation import DAY_S
from lumen_proxy.supervisor import state

if TYPE_CHECKING:
    from pathlib import Path

    from lumen_proxy.config import Settings

OURS = re.compile(r"(?:journal|worker|alerts-[a-z]+)-(\d+)\.jsonl(?:\.\d+)?|console-(\d+)\.log")


def drop(settings: Settings) -> None:
    """Remove what bears one of our names, is older than `log_days`, and belongs to a port that nobody serves."""
    with contextlib.suppress(OSError):
        for path in list(settings.log_dir.iterdir()):
            name = OURS.fullmatch(path.name)
            if name and _is_old(path, settings.log_days):
                port = int(name[1] or name[2])
                if not state.is_locked(state.paths(settings.state_dir, port)[0]):
                    path.unlink(missing_ok=True)


def _is_old(path: Path, days: int) -> bool:
    return path.is_file() and not path.is_symlink() and time.time() - path.stat().st_mtime > days * DAY_S
