"""``--junit FILE``: pytest writes a temporary file, which replaces FILE when all else has been written.

An error of pytest's own writing would end the run with a traceback, and without the other files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from _pytest.junitxml import xml_key

from lumen_conformance.report import output_paths, shared_files
from lumen_conformance.run import run_of

_UNFINISHED: Final = pytest.StashKey[Path]()


def configure(config: pytest.Config) -> None:
    """Refuse a file that cannot be written; let pytest write another."""
    path, xml = output_paths.given(config, "--junit"), config.stash.get(xml_key, None)
    if path and xml and shared_files.reports(config):
        output_paths.refuse_unwritable("--junit", path)
        config.stash[_UNFINISHED] = run_of(config).folder / "junit.xml"
        xml.logfile = str(config.stash[_UNFINISHED])


def write_file(session: pytest.Session) -> None:
    """Write the file."""
    path, unfinished = output_paths.given(session.config, "--junit"), session.config.stash.get(_UNFINISHED, None)
    if path and unfinished and unfinished.exists():
        try:
            path.write_bytes(unfinished.read_bytes())
        except Exception:
            discard(session.config)
            raise
        unfinished.unlink()
        session.config.stash[xml_key].logfile = str(path)  # pytest prints its name


def discard(config: pytest.Config) -> None:
    """Let pytest print nothing about the file."""
    if xml := config.stash.get(xml_key, None):
        Path(xml.logfile).unlink(missing_ok=True)
        del config.stash[xml_key]
        config.pluginmanager.unregister(xml)
