"""Hooks around each test: set-up, teardown, its report and its outcome."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest

from lumen_conformance import isolation
from lumen_conformance.processes import leak_audit
from lumen_conformance.registry import measurement, refutation
from lumen_conformance.report import baseline, progress, replay, report_redaction
from lumen_conformance.targets import readiness


@pytest.hookimpl(tryfirst=True)  # instead of pytest's own loop
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run nothing where records are replayed."""
    return replay.report_records(session)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """Report a target that never becomes ready once in a run."""
    try:
        yield
    except readiness.NeverReady as error:
        raise readiness.outcome_of(item, error) from None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Record the expectations that held, also those before a failure."""
    refutation.clear_held()
    try:
        yield
    finally:
        measurement.record_held(item)


@pytest.hookimpl(wrapper=True, tryfirst=True)  # outermost: after the fixtures of the test have ended
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Fail a test that has connected beyond this machine, or has left something behind."""
    try:
        yield
    finally:
        try:
            isolation.check(item)
        finally:
            leak_audit.check(item)


@pytest.hookimpl(wrapper=True, tryfirst=True)  # outermost: no other plugin adds text after the masking
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Give a check its outcome."""
    report = yield
    refutation.apply_outcome(item, call, report)
    measurement.excuse_reported_only(item, call, report)
    baseline.excuse_known(item, call, report)
    return report_redaction.redact_test(item, report)


@pytest.hookimpl(wrapper=True, tryfirst=True)  # outermost: other plugins have only the outcomes of pytest
def pytest_report_teststatus(
    report: pytest.TestReport, config: pytest.Config
) -> Generator[None, progress.AnyStatus, progress.AnyStatus]:
    """Return the category of a report, also one that pytest does not have."""
    status = yield
    own = refutation.status_of(report) or baseline.status_of(report) or measurement.status_of(report)
    return progress.without_letter(config, own or status)
