"""The Korean texts of the page are complete, and none is left over."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Final, cast

import pytest

import lumen_conformance
from lumen_conformance.report import comparison_page, korean, rendering, run_result
from lumen_conformance.report.causes import NUMBERS
from lumen_conformance.report.exchange_evidence import NEEDS_GATEWAY, NEEDS_SEVERAL
from lumen_conformance.report.layers import FAILED, MEANINGS, NO_CHECK, PASSED
from lumen_conformance.report.results import Outcome, Results
from lumen_conformance.report.selection import SEVENTEEN
from tests.fixtures.repository import ROOT
from tests.unit.conformance.report_results import entry_of, result_of

TEMPLATES: Final = Path(lumen_conformance.__file__).parent / "report" / "templates"
IN_HTML: Final = re.compile(r'\b(?:t|counted|label|code_block\([^"()]+)(?:\(|, )"([^"]+)"(?=[,)])')
IN_SCRIPT: Final = re.compile(
    r'\b(?:translated|counted|line|folded|element\("h4", \{\}, translated)\("([^"]+)"|code\(r?\w*[\w.]*, "([^"]+)"\)'
    r'|"aria-label", "([^"]+)"'
)
SPANS: Final = re.compile(r'\["(connect|send|wait|receive)",')
SENTENCES: Final = {
    "measured",
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
    "outage",
    "WORSE",
    "NOT WORSE",
    "NO CHANGE",
}


def shown() -> set[str]:
    """Return the English texts of the page that have a translation."""
    html = "".join(path.read_text("utf-8") for path in TEMPLATES.glob("*.html"))
    script = (TEMPLATES / "page.js").read_text("utf-8")
    found = set(IN_HTML.findall(html)) | {text for found in IN_SCRIPT.findall(script) for text in found if text}
    words = {word for word, _ in run_result._INCOMPLETE.values()}  # noqa: SLF001 -- the words of the banner
    facts = {"Selection", "Target", "Duration", "Generated", "Runs on"}
    parts = {*comparison_page.OUTCOMES.values(), *comparison_page.TONES, comparison_page.TITLE}
    parts |= {
        *NUMBERS,
        *rendering.LABELS.values(),
        *rendering.TIER_TITLES.values(),
        *MEANINGS.values(),
        *facts,
        *words,
        *run_result.PARTIAL_RESULTS,
        NEEDS_GATEWAY,
        NEEDS_SEVERAL,
        FAILED,
        NO_CHECK,
        PASSED,
    }
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


TEXTS: Final = {
    "timeline of killed": "killed 타임라인",
    "outage: first answer after 0.5 s": "중단: 0.5 s 뒤에 첫 응답",
    "outage: no answer for 3 s": "중단: 3 s 동안 응답 없음",
    "no worker for at least 3 s, by the journal": "저널에 따르면 3 s 이상 워커 없음",
    "no worker for 0.2 s, by the journal": "저널에 따르면 0.2 s 동안 워커 없음",
    "supervisor 7": "슈퍼바이저 7",
    "worker 7, generation 2": "워커 7, 2세대",
    "worker 7": "워커 7",
    "standby 7": "대기 워커 7",
    "process 7": "프로세스 7",
    "new process 7": "새 프로세스 7",
    "25 percent of the budget": "허용량의 25 퍼센트",
    "2 runs: 1 s, 2 s": "실행 2번: 1 s, 2 s",
    "a text of a server": "",
}


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_with_variable_parts(text: str) -> None:
    """The parts are kept, and a part that is a text of the page is translated, too."""
    assert korean.of_pattern(text) == TEXTS[text]


SKIPS: Final = {"NotApplicable", "pytest.skip", "pytest.skip.Exception", "pytest.mark.skip", "pytest.mark.skipif"}
FOLDERS: Final = ("lumen_conformance", "tests/contract", "tests/recovery")


def stated_reasons() -> set[str]:
    """Return why checks of the suite do not apply, as the code has it, with {} for each variable part."""
    paths = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py") if "node_modules" not in path.parts]
    nodes = (node for path in paths for node in ast.walk(ast.parse(path.read_text("utf-8"))))
    skips = (node for node in nodes if isinstance(node, ast.Call) and ast.unparse(node.func) in SKIPS)
    given = (each for skip in skips for each in (*skip.args, *(word.value for word in skip.keywords)))
    return {text.removeprefix("not applicable: ") for each in given if (text := template_of(each))} - {"{}", "{}: {}"}


def template_of(node: ast.expr) -> str:
    """Return a text with {} for each variable part; empty for an expression that is no text."""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def test_every_reason_of_the_suite_has_its_korean() -> None:
    """What the code states when a check does not apply has a Korean text; what a server says is kept."""
    assert sorted(reason for reason in stated_reasons() if not korean.of_reason(reason)) == []
    assert korean.of_reason("the target does not declare: tools") == "대상이 선언하지 않음: tools"
    assert korean.of_reason("a text of a server") == ""


def run_of(*outcomes: Outcome, missing: int = 0, broken: int = 0, **fields: object) -> Results:
    """Return what a run with these outcomes has."""
    entries = [entry_of(f"B1.{place}") for place in range(len(outcomes) + missing)]
    ended = [result_of(*each) for each in zip(entries, outcomes, strict=False)]
    unjudged = [each for each in ended if each.outcome == "not_judged"]
    given = {
        "results": ended,
        "unjudged": unjudged,
        "missing": entries[len(ended) :],
        "expected": entries,
        "lost_files": [],
        **fields,
    }
    return cast("Results", SimpleNamespace(**given, broken=range(broken)))


RUNS: Final = {
    "stopped": (2, run_of("passed", "failed", missing=2)),
    "internal error": (3, run_of("passed")),
    "usage": (4, run_of()),
    "nothing ran": (5, run_of()),
    "lost": (0, run_of("passed", missing=1)),
    "broken": (1, run_of("passed", broken=1)),
    "unjudged": (1, run_of("passed", "not_judged", "not_judged", unjudged=[0])),
    "leaked": (1, run_of("passed")),
    "without a file": (3, run_of("passed", lost_files=["--verdicts"], status_before_loss=0)),
    "every outcome": (1, run_of("passed", "failed", "error", "warned", "baselined", "skipped", "not_judged")),
}


@pytest.mark.parametrize("run", RUNS)
def test_the_sentence_says_the_same(run: str) -> None:
    """What went wrong is said in both languages, with the same numbers."""
    result = run_result.summarize_run(*RUNS[run])
    texts = [result.sentence, korean.sentence(result)]
    assert sorted(re.findall(r"\d+", texts[0])) == sorted(re.findall(r"\d+", texts[1]))
    assert all(len(each) > 5 for each in texts)
    assert [bool(result.why), bool(result.remarks)] == [
        run in INCOMPLETE,
        run in {"unjudged", "leaked", "without a file"},
    ]


INCOMPLETE: Final = {"stopped", "internal error", "usage", "nothing ran"}


def test_every_part_of_the_sentence_has_its_korean() -> None:
    """Each part that the code has is translated, and no other."""
    tree = ast.parse(Path(run_result.__file__).read_text("utf-8"))
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    why = {why for _, why in run_result._INCOMPLETE.values()}  # noqa: SLF001 -- why a run is not complete
    assert korean.phrases().keys() == why | {each for each in texts if "{}" in each}
