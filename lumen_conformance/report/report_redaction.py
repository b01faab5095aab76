"""Where secrets are masked: in every report as it is made, in the metadata of every process, in the written page."""

import json
import platform
from typing import Any, Final, TypeVar

import pytest

from lumen_conformance.registry.redaction import Redactor, hidden, hide, redactor
from lumen_conformance.report import shared_files

AnyReport = TypeVar("AnyReport", pytest.TestReport, pytest.CollectReport)

_SPOKEN: Final = ("longrepr", "sections", "user_properties", "extras")  # the parts of a report that are free text
_NAME: Final = "hidden"


def redact_test(item: pytest.Item, report: pytest.TestReport) -> pytest.TestReport:
    """Mask secrets in a failure's text, captured output and measurements, before any plugin sees them."""
    _tell_controller(item.config)
    return redacted(report, item.config, redactor())


def redact_collection(collector: pytest.Collector, report: pytest.CollectReport) -> pytest.CollectReport:
    """Mask secrets in the text of a module that cannot be imported."""
    return redacted(report, collector.config, redactor()) if report.failed else report


def redacted(report: AnyReport, config: pytest.Config, mask: Redactor) -> AnyReport:
    """Return the report with its texts masked, by way of the form in which parallel workers send it."""
    data: dict[str, Any] = config.hook.pytest_report_to_serializable(config=config, report=report)
    masked = {name: mask.deep(data[name]) for name in _SPOKEN if name in data}
    if all(masked[name] == data[name] for name in masked):
        return report
    copy: AnyReport = config.hook.pytest_report_from_serializable(config=config, data={**data, **masked})
    return copy


def replace_metadata(metadata: dict[str, Any]) -> None:
    """Keep two lines of the table that describes the machine; it runs in each process, as the last one's table wins."""
    metadata.clear()
    metadata.update({"Python": platform.python_version(), "Platform": platform.platform()})


def hear_workers(config: pytest.Config) -> None:
    """Learn the secrets that parallel workers asked to hide."""
    for text in shared_files.published(config, _NAME):
        for secret in json.loads(text):
            hide(secret)


def _tell_controller(config: pytest.Config) -> None:
    if not shared_files.reports(config) and hidden():
        shared_files.publish(config, _NAME, json.dumps(sorted(hidden())))
