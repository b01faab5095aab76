"""Hooks of the collection: which tests there are, which of them run, and their marks."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path

import pytest

from lumen_conformance import run
from lumen_conformance.plugin import acceptance, parallel
from lumen_conformance.processes import leak_audit, reaper
from lumen_conformance.registry import declaration
from lumen_conformance.report import (
    announcement,
    baseline,
    entries,
    id_selection,
    output_paths,
    refusal,
    replay,
    report_redaction,
    results,
    selection,
    shards,
)
from lumen_conformance.report.results import RESULTS
from lumen_conformance.targets import environment, target


@pytest.hookimpl(tryfirst=True)  # instead of pytest's own collection
def pytest_collection(session: pytest.Session) -> bool | None:
    """Collect nothing where records are replayed."""
    if not replay.collect(session):
        return None
    acceptance.accept(session.config)
    return True


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Ignore the folders that hold nothing of the selection."""
    return selection.is_ignored(collection_path, config)


@pytest.hookimpl(tryfirst=True)  # before pytest's own, so that the check id is the first part of the pytest id
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a check its id; refuse an invalid test."""
    declaration.parametrize(metafunc)
    selection.refuse_misplaced(metafunc)


@pytest.hookimpl(wrapper=True, tryfirst=True)  # outermost: no other plugin adds text after the masking
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Mask secrets in the report of a module that cannot be collected."""
    report = yield
    return report_redaction.redact_collection(collector, report)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Generator[None]:
    """Mark and select the tests."""
    with refusal.published(config):
        baseline.read_rows(config, items)  # before any selection: a baseline may list every check
        id_selection.select(config, items)
        selection.mark(config, items)  # before -m selects by these marks
        collected = list(items)
        yield  # the suites mark their tests; pytest selects by -k and -m
        target.select(config, items, collected)
        shards.select(config, items)  # after the selection: a shard is a part of it
        parallel.order(config, items)
        acceptance.accept(config)


@pytest.hookimpl(tryfirst=True)  # before a parallel worker sends the list of its tests
def pytest_collection_finish(session: pytest.Session) -> None:
    """Publish the selected tests; record the processes, ports and files that exist before the first test."""
    if not output_paths.is_accepted(session.config):
        return  # pytest calls this hook also after an error
    entries.publish_items(session)
    results.expect_items(session)
    baseline.publish_partly_selected(session)
    reaper.start(session)  # before the audit of leaks records what runs already
    leak_audit.record_existing(session, environment.list_own_folders(session.config))
    run.freeze_objects()


def pytest_report_collectionfinish(config: pytest.Config, items: list[pytest.Item]) -> str:
    """Print the size of the selection."""
    return selection.size_line(config, items) if output_paths.is_accepted(config) else ""


@pytest.hookimpl(wrapper=True, tryfirst=True, optionalhook=True)
def pytest_xdist_node_collection_finished(node: object, ids: Sequence[str]) -> Generator[None]:
    """Refuse the run if parallel workers have found an error; else expect their tests."""
    config: pytest.Config = node.config  # type: ignore[attr-defined]
    refusal.refuse(config)
    acceptance.accept(config)
    config.stash[RESULTS].expect(ids)
    yield
    announcement.print_published(config)
