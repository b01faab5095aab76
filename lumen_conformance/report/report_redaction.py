"""Mask secrets in reports of tests and of the collection, and in the metadata of the run; bound their texts."""

import json
import platform
from typing import Any, Final, TypeVar

import pytest

from lumen_conformance.registry.redaction import Redactor, hidden, hide, redactor
from lumen_conformance.report import shared_files

AnyReport = TypeVar("AnyReport", pytest.TestReport, pytest.CollectReport)

_TEXTS: Final = ("longrepr", "sections", "user_properties", "extras")  # the parts of a report with free text
_NAME: Final = "hidden"
LONGEST_TEXT: Final = 50_000  # characters: more than a person reads, and thousands of them are a file that opens
MOST_LINES: Final = 1_500  # of a traceback


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
    masked = {name: mask.deep(bounded(data[name])) for name in _TEXTS if name in data}
    if all(masked[name] == data[name] for name in masked):
        return report
    copy: AnyReport = config.hook.pytest_report_from_serializable(config=config, data={**data, **masked})
    return copy


def bounded(value: Any) -> Any:  # noqa: ANN401 -- whatever a report is made of
    """Return a copy of a value with the middle of each long text left out; a cut secret is masked at the ellipsis."""
    match value:
        case str() if len(value) > LONGEST_TEXT:
            half = LONGEST_TEXT // 2
            return f"{value[:half]}… {len(value) - 2 * half} characters left out …{value[-half:]}"
        case list() | tuple() if len(value) > MOST_LINES and all(isinstance(each, str) for each in value):
            half = MOST_LINES // 2
            left_out = f"… {len(value) - 2 * half} lines left out …"
            return bounded(type(value)([*value[:half], left_out, *value[-half:]]))
        case list() | tuple():
            return type(value)(bounded(each) for each in value)
        case dict():
            return {key: bounded(each) for key, each in value.items()}
        case _:
            return value


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
