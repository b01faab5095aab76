"""Mask secrets in reports of tests and of the collection, and in the metadata of the page."""

import json
import platform
from typing import Any, Final, TypeVar

import pytest

from lumen_conformance.registry.redaction import Redactor, hidden, hide, redactor
from lumen_conformance.report import shared_files

AnyReport = TypeVar("AnyReport", pytest.TestReport, pytest.CollectReport)

_TEXTS: Final = ("longrepr", "sections", "user_properties", "extras")  # the parts of a report with free text
_NAME: Final = "hidden"


def redact_test(item: pytest.Item, report: pytest.TestReport) -> pytest.TestReport:
    """Mask secrets in the text of a failure, in captured output and in measurements."""
    _send_secrets(item.config)
    return redacted(report, item.config, redactor())


def redact_collection(collector: pytest.Collector, report: pytest.CollectReport) -> pytest.CollectReport:
    """Mask secrets in the text of a module that cannot be imported."""
    return redacted(report, collector.config, redactor()) if report.failed else report


def redacted(report: AnyReport, config: pytest.Config, mask: Redactor) -> AnyReport:
    """Return the report with its texts masked; it is masked in the form in which parallel workers send it."""
    data: dict[str, Any] = config.hook.pytest_report_to_serializable(config=config, report=report)
    masked = {name: mask.deep(data[name]) for name in _TEXTS if name in data}
    if all(masked[name] == data[name] for name in masked):
        return report
    copy: AnyReport = config.hook.pytest_report_from_serializable(config=config, data={**data, **masked})
    return copy


def replace_metadata(metadata: dict[str, Any]) -> None:
    """Keep two lines of the table about the machine. Every process does it, as the last table replaces the others."""
    metadata.clear()
    metadata.update({"Python": platform.python_version(), "Platform": platform.platform()})


def receive_secrets(config: pytest.Config) -> None:
    """Hide the secrets that tests of parallel workers have hidden."""
    for text in shared_files.published(config, _NAME):
        for secret in json.loads(text):
            hide(secret)


def _send_secrets(config: pytest.Config) -> None:
    if not shared_files.reports(config) and hidden():
        shared_files.publish(config, _NAME, json.dumps(sorted(hidden())))
