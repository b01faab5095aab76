"""``--junit FILE``: pytest writes a temporary file, which replaces FILE when all else has been written.

An error of pytest's own writing would end the run with a traceback, and without the other files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from _pytest.junitxml import LogXML, xml_key

from lumen_conformance.report import counts, output_paths, shared_files
from lumen_conformance.report.results import RESULTS
from lumen_conformance.report.run_result import summarize_run
from lumen_conformance.run import run_of

GREEN: Final = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
_UNFINISHED: Final = pytest.StashKey[Path]()


def configure(config: pytest.Config) -> None:
    """Refuse a file that cannot be written; let pytest write another."""
    path, xml = output_paths.given(config, "--junit"), config.stash.get(xml_key, None)
    if path and xml and shared_files.reports(config):
        output_paths.refuse_unwritable("--junit", path)
        config.stash[_UNFINISHED] = run_of(config).folder / "junit.xml"
        xml.logfile = str(config.stash[_UNFINISHED])


def write_file(session: pytest.Session) -> None:
    """Write the file; what only fails the run as a whole, such as a file that is not written, is an error in it."""
    config = session.config
    path, xml = output_paths.given(config, "--junit"), config.stash.get(xml_key, None)
    if not (path and xml and _UNFINISHED in config.stash):
        return
    ending = summarize_run(int(session.exitstatus), config.stash[RESULTS])
    if session.exitstatus not in GREEN and (config.stash[RESULTS].lost_files or not _is_red(xml)):
        counts.set_run_error(xml, ending.word, ending.sentence)
    try:
        xml.logfile = str(config.stash[_UNFINISHED])
        xml.pytest_sessionfinish()  # again: the status of the run is known now
        path.write_bytes(config.stash[_UNFINISHED].read_bytes())
    except Exception:
        discard(config)
        raise
    config.stash[_UNFINISHED].unlink()
    xml.logfile = str(path)  # pytest prints its name


def _is_red(xml: LogXML) -> bool:
    return bool(xml.stats["error"] + xml.stats["failure"])


def discard(config: pytest.Config) -> None:
    """Let pytest print nothing about the file."""
    if xml := config.stash.get(xml_key, None):
        Path(xml.logfile).unlink(missing_ok=True)
        del config.stash[xml_key]
        config.pluginmanager.unregister(xml)
