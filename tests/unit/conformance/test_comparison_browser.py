"""The page of `lumen-conformance compare --html` in headless Chromium, from two runs with their records."""

from __future__ import annotations

from typing import Any

import pytest

from lumen_conformance.cli import main as cli
from tests.fixtures.nested_pytest import stage
from tests.unit.conformance.test_report_browser import AUDITS, HOSTILE, browse, missing

MODULE = '''
"""Scenario 1: a worker is killed."""
from lumen_conformance.http.capture import Capture
from lumen_conformance.http.exchange_record import exchange_record
from lumen_conformance.registry import expect
from lumen_conformance.registry.measurement import EXCHANGE, record
AFTER = {after}
def exchange(node, status):
    head = b"GET /v1/models HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n"
    given = dict(status=status, raw_head=b"HTTP/1.1 %d\\r\\n\\r\\n" % status, body=b"{{}}", ended="complete")
    record(node, EXCHANGE, exchange_record(Capture("http://h/v1/models", head, **given)))
@check("1.4-breaks")
def test_breaks(request, measure):
    """It breaks in the new run."""
    measure(2.5 if AFTER else 0.5, "s", 3.0)
    exchange(request.node, 500 if AFTER else 200)
    expect(not AFTER, "status 200", "status 500 {hostile}", at="byte 7")
@check("1.5-changed", tier="S")
def test_changed(request, warn):
    """It breaks in the new run, and it warned before."""
    exchange(request.node, 404)
    expect(not AFTER, "status 200", "the later value", at="byte 0")
    warn("the earlier reason")
@check("1.6-mended")
def test_mended():
    """It is mended in the new run."""
    expect(AFTER, "a word", "no word")
@check("1.7-still")
def test_still():
    """It fails in both runs."""
    expect(False, "a word", "no word")
@check("1.8-same")
def test_same():
    """It passes in both runs."""
'''
ONE_MORE = '''
@check("1.9-{name}")
def test_one_more():
    """Only one of the runs has it."""
'''

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a reviewer of a release sees."""
    base = tmp_path_factory.mktemp("comparison")
    for name in ("before", "after"):
        (base / name).mkdir()
        text = MODULE.format(after=name == "after", hostile=HOSTILE) + ONE_MORE.format(name=name)
        assert stage(base / name, {"recovery/test_01_kill.py": text}, "--record=record.jsonl").status == 1
    page = base / "pages" / "comparison.html"
    assert cli.main(["compare", str(base / "before"), str(base / "after"), "--html", str(page)]) == 1
    return browse("comparison", page)


def test_nothing_is_executed_or_loaded(found: dict[str, Any]) -> None:
    """No script of a server runs, the page asks for nothing else, and the console has no error."""
    assert found["errors"] == []
    assert found["title"].startswith("WORSE: 2 newly failing, 1 newly passing, 1 newly absent, 1 newly present, ")


def test_new_failures_are_open(found: dict[str, Any]) -> None:
    """The page opens with the new failures, and with their causes."""
    assert (found["word"], found["open"]) == ("WORSE", ["1.4-breaks", "1.5-changed"])
    for text in ("1.4-breaks: It breaks in the new run", "status 500 <script>", "passed", "GET /v1/models"):
        assert text in found["causes"]


def test_both_sides_have_their_evidence(found: dict[str, Any]) -> None:
    """A check shows what each run expected and found, and its exchanges."""
    before, after = found["sides"]
    assert found["outcome"] == "warned → failed"
    assert before.startswith("Before: warned\nreason\nthe earlier reason\nGET /v1/models HTTP/1.1 → 404")
    for text in ("After: failed", "status 200", "the later value", "byte 0", "GET /v1/models HTTP/1.1 → 404"):
        assert text in after


def test_search(found: dict[str, Any]) -> None:
    """A text of the earlier run is found, too."""
    assert found["searched"] == ["1.5-changed"]


def test_korean(found: dict[str, Any]) -> None:
    """The result is in Korean, too."""
    for text in ("나빠짐", "새로 실패", "새로 통과", "둘 다 실패"):
        assert text in found["korean"]


def test_widths(found: dict[str, Any]) -> None:
    """From a phone of 320 pixels to a screen of 3840 nothing must be scrolled sideways."""
    assert {int(width): needed for width, needed in found["wide"].items() if needed > int(width)} == {}


def test_accessibility(found: dict[str, Any]) -> None:
    """With everything open, axe finds nothing serious, light and dark, in English and Korean."""
    assert [found[name] for name in AUDITS] == [[]] * len(AUDITS)
