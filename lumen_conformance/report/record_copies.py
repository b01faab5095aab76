"""Copies of records and their evidence, each in a folder of its own."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Final

from lumen_conformance.registry.regular_files import is_regular
from lumen_conformance.report.recorded_run import FILE, Record

_UNFINISHED: Final = ".new"  # end of the name of the folder until it is complete


def with_unique_names(records: Sequence[Record]) -> list[Record]:
    """Return the records; a name that an earlier record has gets a number."""
    taken: list[str] = []
    for record in records:
        names = (f"{record.name}-{number}" if number > 1 else record.name for number in count(1))
        taken.append(next(name for name in names if name not in taken))
    return [replace(record, name=name) for record, name in zip(records, taken, strict=True)]


def copy(records: Sequence[Record], folder: Path) -> list[Record]:
    """Replace a folder by copies of these records, which have unique names; return the copies. Raises OSError."""
    unfinished = folder.with_name(folder.name + _UNFINISHED)
    _remove(unfinished)
    try:
        for record in records:
            _copy(record, unfinished / record.name)
        _remove(folder)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return [replace(record, path=(folder / record.name / FILE).resolve()) for record in records]


def _copy(record: Record, folder: Path) -> None:
    folder.mkdir(parents=True)
    shutil.copy(record.path, folder / FILE)
    for evidence in record.evidence_folders():
        shutil.copytree(record.folder / evidence, folder / evidence, ignore=_not_copied)


def _not_copied(folder: str, names: list[str]) -> list[str]:
    """Return what is neither a regular file nor a folder: a server may link to any file of its user."""
    paths = [Path(folder, name) for name in names]
    return [path.name for path in paths if not (is_regular(path) or (path.is_dir() and not path.is_symlink()))]


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
