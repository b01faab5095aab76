"""The list of public reports is whole, and its page is what the measurement says."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "benchmarks" / "public-defects"
REPORT = re.compile(r"[\w.-]+/[\w.-]+#\d+")


@pytest.fixture
def public(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The modules of the benchmark, which is a script on its own path."""
    monkeypatch.setattr(sys, "path", [str(FOLDER), *sys.path])
    import defects  # noqa: PLC0415 -- as above
    import measurement  # noqa: PLC0415 -- as above
    import page  # noqa: PLC0415 -- as above

    return SimpleNamespace(defects=defects, measurement=measurement, page=page)


def test_each_visible_report_has_a_defect(public: SimpleNamespace) -> None:
    """A report that is on the wire has steps, any other has none, and no report is listed twice."""
    reports = public.measurement.read_reports()
    assert sorted(each.report for each in reports if each.visible) == sorted(public.defects.DEFECTS)
    assert len({each.report for each in reports}) == len(reports)


def test_each_report_can_be_found(public: SimpleNamespace) -> None:
    """Each report names a repository and a number, and says what a client observes."""
    reports = public.measurement.read_reports()
    assert [each.report for each in reports if not REPORT.fullmatch(each.report) or not each.what] == []


def test_a_missed_report_has_a_reason(public: SimpleNamespace) -> None:
    """A report that no check of its kind catches says why."""
    assert [each.report for each in public.measurement.read_reports() if not each.checks and not each.missed] == []


def test_the_page_is_up_to_date(public: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What `make docs` generates is committed as it is generated."""
    committed = public.page.PAGE.read_text("utf-8")
    monkeypatch.setattr(public.page, "PAGE", tmp_path / "page.md")
    public.page.write()
    assert public.page.PAGE.read_text("utf-8") == committed


def test_only_checks_of_the_kind_count(public: SimpleNamespace) -> None:
    """A failed check that is of another kind does not catch a report."""
    report = public.measurement.Report("a/b#1", "", "", "", "", visible=True, checks=("E1.*",))
    measurement = json.loads('{"failed": {"a/b#1": {"M": "C1.1 E1.1", "S": "F4"}}}')
    assert public.page.caught_by(report, measurement) == {"M": ["E1.1"], "S": []}
