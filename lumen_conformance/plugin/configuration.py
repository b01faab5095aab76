"""Hooks that configure a run: its options, its files, its environment, its parallel workers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from lumen_conformance import isolation, run
from lumen_conformance.plugin import acceptance, parallel
from lumen_conformance.plugin.report_hooks import ReportHooks
from lumen_conformance.processes import interruption, standard_streams
from lumen_conformance.registry import declaration, old_ids, option_table
from lumen_conformance.registry.measurement import IS_READ
from lumen_conformance.report import (
    baseline,
    baseline_writer,
    exchange_evidence,
    github,
    history,
    id_selection,
    junit_file,
    output_paths,
    page,
    progress,
    replay,
    report_redaction,
    results,
    run_record,
    selection,
    shards,
    shared_files,
    summary,
    verdict_records,
)
from lumen_conformance.targets import conditions, environment, options, target


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the suite."""
    options.add_options(parser)
    replay.add_options(parser)
    option_table.add_options(parser)
    progress.add_options(parser)
    run.add_options(parser)


@pytest.hookimpl(tryfirst=True)  # before pytest-html reads its option
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Choose the file of the page and the parallel workers; refuse files that cannot be written together."""
    parallel.configure(config)
    page.choose_path(config)
    output_paths.undo_refused(config)  # before a folder is made
    output_paths.refuse_same_file(config)
    page.refuse_unwritable(config)


@pytest.hookimpl(trylast=True)  # after pytest has made its temporary folder, and the terminal reporter
def pytest_configure(config: pytest.Config) -> None:
    """Refuse invalid options before any test runs, and prepare the run."""
    interruption.configure(config)  # first: signals may be pending
    config.stash[IS_READ] = True
    standard_streams.configure(config)
    acceptance.configure(config)
    option_table.configure(config)
    selection.configure(config)
    run_record.configure(config)
    target.configure(config)
    conditions.configure(config)
    summary.configure(config)
    github.configure(config)
    history.configure(config)
    verdict_records.configure(config)
    results.configure(config)
    shards.configure(config)
    id_selection.configure(config)
    baseline.configure(config)
    declaration.configure(config)
    baseline_writer.configure(config)  # after the target
    page.configure(config)  # after the results
    junit_file.configure(config)
    exchange_evidence.configure(config)
    progress.configure(config)
    replay.configure(config)  # last of the report: it replaces target, tiers, selection and baseline
    isolation.configure(config)  # after the options are read from the environment, which it cleans
    environment.configure(config)
    if shared_files.reports(config):
        config.pluginmanager.register(ReportHooks(config), "lumen-report")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Restore the environment."""
    interruption.unconfigure(config)
    isolation.restore(config)
    github.restore(config)


@pytest.hookimpl(optionalhook=True)
def pytest_metadata(metadata: dict[str, Any]) -> None:
    """Choose what the page says about the machine."""
    report_redaction.replace_metadata(metadata)


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Print the selection and the target."""
    lines = (
        old_ids.header_line(config),
        selection.header_line(config),
        target.header_line(config),
        environment.header_line(config),
        history.header_line(config),
    )
    return [line for line in lines if line]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return the number of parallel workers for ``-n auto``."""
    return run.number_of_workers()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(specs: Sequence[Any]) -> None:
    """Start parallel workers as this process: without the modules of the current folder, if it is without them."""
    run.start_workers_safely(specs)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: object) -> None:
    """Send a parallel worker what it needs of this process."""
    run.configure_worker(node)
    baseline.configure_worker(node)
