"""The Korean texts of the page are complete, and none is left over."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import lumen_conformance
from lumen_conformance.report import comparison_page, korean, rendering, run_result
from lumen_conformance.report.layers import FAILED, NO_CHECK, PASSED
from lumen_conformance.report.selection import SEVENTEEN
from tests.fixtures.repository import ROOT

TEMPLATES: Final = Path(lumen_conformance.__file__).parent / "report" / "templates"
IN_HTML: Final = re.compile(r'\bt\("([^"]+)"\)')
IN_SCRIPT: Final = re.compile(
    r'\b(?:translated|line|folded|element\("h4", \{\}, translated)\("([^"]+)"|code\(r?\w*[\w.]*, "([^"]+)"\)'
)
SPANS: Final = re.compile(r'\["(connect|send|wait|receive)",')
SENTENCES: Final = {
    "measured",
    "checks",
    "after",
    "since the one before",
    "Lumen recovery and contract report",
    "check",
    "expected",
    "found",
    "at",
    "reason",
    "INCOMPLETE",
    "Before",
    "After",
    "before",
    "id, claim, found value",
    "WORSE",
    "NOT WORSE",
    "NO CHANGE",
}


def shown() -> set[str]:
    """Return the English texts of the page that have a translation."""
    html = "".join(path.read_text("utf-8") for path in TEMPLATES.glob("*.html"))
    script = (TEMPLATES / "page.js").read_text("utf-8")
    found = set(IN_HTML.findall(html)) | {one or other for one, other in IN_SCRIPT.findall(script)}
    words = {word for word, _ in run_result._INCOMPLETE.values()}  # noqa: SLF001 -- the words of the banner
    facts = {"Not written", "Selection", "Target", "Duration", "Generated", "Runs on"}
    parts = {*comparison_page.OUTCOMES.values(), *comparison_page.TONES, comparison_page.TITLE}
    parts |= {*rendering.LABELS.values(), *facts, *words, *run_result.PARTIAL_RESULTS, FAILED, NO_CHECK, PASSED}
    return found | set(SPANS.findall(script)) | parts | SENTENCES


def test_every_text_has_its_korean() -> None:
    """Headings, labels, outcomes and words of the verdict have a Korean text, and the file has no other."""
    assert korean.texts().keys() == shown()


def test_every_scenario_has_its_korean_name() -> None:
    """Each module of recovery, and the soak, has a Korean name."""
    modules = [*(ROOT / "tests" / "recovery").glob("test_*.py"), *(ROOT / "tests" / "soak").glob("test_[0-9]*.py")]
    assert korean.scenarios().keys() == {str(int(path.name.split("_")[1])) for path in modules}


def test_the_seventeen_have_korean_claims() -> None:
    """Each of the seventeen checks has a Korean claim."""
    assert {each.partition("-")[0] for each in korean.claims()} == set(SEVENTEEN)
