"""The regular files below a folder that a server could write to."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path


def is_regular(path: Path) -> bool:
    """Return whether a path is a regular file with one name: a link, or a second name, may be of any file."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_nlink == 1


def list_regular_files(folder: Path) -> Iterator[Path]:
    """Yield these files in the order of their names; no folder behind a link is followed."""
    for place, folders, names in os.walk(folder):
        folders.sort()
        yield from filter(is_regular, (Path(place, name) for name in sorted(names)))
