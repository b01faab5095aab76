"""A check that was not judged names failed checks, and the run does not pass."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.fixtures.nested_pytest import NestedRun, stage, stage_foreign

BODY = '''
    """Answers: one body, and what is claimed of it."""
    from lumen_conformance.registry import NotJudged, expect
    @check("B1.5")
    @pytest.mark.parametrize("row", ["plain", "stream"])
    def test_json(row):
        """The body is JSON."""
        expect({json}, "one JSON value", "'<' where a value is due", at="byte 0")
    @check("C2.5")
    def test_answer():
        """The answer fits the schema."""
        if not {json}:
            raise NotJudged("the body is no JSON", ("B1.5",))
    @check("C5.2"{tier})
    def test_total():
        """The total is the sum."""
        if not {total}:
            raise NotJudged("the body is no JSON object", ("C2.5",))
    '''

ROWS = {
    "contract/test_rows.py": """
    '''Rows: one check of several exchanges.'''
    from lumen_conformance.registry import NotJudged, expect
    @check("F1.1")
    @pytest.mark.parametrize("row", ["lost", "refusal"])
    def test_media_type(row):
        '''The error is JSON.'''
        expect(False, "application/json", "letters" if row == "lost" else "octets")
    @check("B1.5")
    @pytest.mark.parametrize("row", ["chat", "lost"])
    def test_json(row):
        '''The body is JSON.'''
        if row == "lost":
            raise NotJudged("the media type is not JSON", ("F1.1",))
        expect(False, "JSON", "<")
    @check("F1.2")
    @pytest.mark.parametrize("row", ["lost", "stream"])
    def test_object(row):
        '''The error is an object.'''
        raise NotJudged("the body is not JSON", ("B1.5",))
    """
}


def answers(*, json: bool, total: bool, tier: str = "") -> dict[str, str]:
    """Return a module in which the body is JSON or not, and the total is judged or not."""
    text = BODY.replace("{json}", str(json)).replace("{total}", str(total)).replace("{tier}", tier)
    return {"contract/test_answers.py": text}


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> NestedRun:
    """Run the checks with a body that is not JSON."""
    return stage(tmp_path_factory.mktemp("broken"), answers(json=False, total=False))


@pytest.fixture(scope="module")
def unjudged(tmp_path_factory: pytest.TempPathFactory) -> NestedRun:
    """Run the checks so that none fails and one is not judged."""
    return stage(tmp_path_factory.mktemp("unjudged"), answers(json=True, total=False), "--github-summary=summary.md")


def test_reasons_are_resolved(broken: NestedRun) -> None:
    """A check that was not judged because of another unjudged check names the check that failed."""
    shown = {each["id"]: (each["outcome"], each["because_of"]) for each in broken.verdicts}
    assert shown == {
        "B1.5": ("failed", []), "C2.5": ("not_judged", ["B1.5"]), "C5.2": ("not_judged", ["B1.5"]),
    }  # fmt: skip


def test_reasons_are_those_of_the_same_exchange(tmp_path: Path) -> None:
    """A check of an exchange waits for the failure of this exchange; without such a row, for each failure of the id."""
    ended = stage(tmp_path, ROWS)
    shown = {(each["id"], each["param"]): (each["because_of"], each["cause"]) for each in ended.verdicts}
    assert shown["F1.2", "lost"] == shown["B1.5", "lost"] == (["F1.1"], "F1.1: letters")
    assert shown["F1.2", "stream"] == (["B1.5"], "B1.5: <")
    assert ended.checks["F1.2-lost"]["r"]["because"] == ["F1.1-lost"]
    waiting = re.findall(r">(\d+) not judged because of it<", ended.html)
    assert sorted(map(int, waiting)) == [1, 2], "F1.1-refusal explains nothing"


def test_a_verdict_has_expected_found_and_cause(broken: NestedRun) -> None:
    """A verdict has the expected value, the found value, its place and the cause, or null."""
    first, *_, last = broken.verdicts
    assert (first["expected"], first["found"], first["at"]) == ("one JSON value", "'<' where a value is due", "byte 0")
    assert (last["expected"], last["found"], last["at"]) == (None, None, None)
    assert first["cause"] == last["cause"] == "B1.5: '...' where a value is due"


def test_not_judged_is_not_passed(unjudged: NestedRun) -> None:
    """A run with a check that was not judged has its own result, and fails."""
    assert (unjudged.status, unjudged.banner) == (1, ("incomplete", "NOT FULLY JUDGED")), unjudged.output
    assert "NOT FULLY JUDGED: 3 passed, 0 failed, 1 not judged.\nnot judged, tier M: C5.2\n" in unjudged.output
    assert "3 passed, 0 failed, 1 not judged." in unjudged.html


def test_an_unjudged_row_shows_the_reason(unjudged: NestedRun) -> None:
    """The row of a check that was not judged shows the reason, without file and line."""
    assert unjudged.checks["C5.2"]["r"]["reason"] == "not judged: the body is no JSON object (C2.5)"


def test_what_was_not_judged_is_named_at_the_top(unjudged: NestedRun) -> None:
    """The page lists the check with its reason beside the causes, and opens its group."""
    (section,) = re.findall(r'<section class="unjudged">.*?</section>', unjudged.html, re.DOTALL)
    assert '<a href="#C5.2">C5.2</a>' in section
    assert "not judged: the body is no JSON object (C2.5)" in section
    assert re.search(r'<details class="group"[^>]* open>', unjudged.html)


def test_the_summary_of_github_names_what_was_not_judged(unjudged: NestedRun) -> None:
    """The Markdown has a table of it, and there is an annotation at the check."""
    summary = (unjudged.folder / "summary.md").read_text("utf-8")
    row = "| C5.2 | M | The total is the sum. | `not judged: the body is no JSON object (C2.5)` |"
    assert f"### Not judged\n\n| check | tier | claim | result |\n|---|---|---|---|\n{row}\n" in summary
    assert re.search(
        r"^::error file=tests/contract/test_answers.py,line=\d+,title=C5.2 ", unjudged.output, re.MULTILINE
    )


def test_what_a_cause_explains_is_named_there_only(broken: NestedRun) -> None:
    """Checks that were not judged because of a failure are named at its cause."""
    assert 'class="unjudged"' not in broken.html
    assert ">2 <" in broken.html.partition('class="causes')[2]


def test_strict_checks_do_not_matter_for_clients(tmp_path: Path) -> None:
    """With an unjudged check of tier S the layer clients passes, but not the layer strict."""
    ended = stage_foreign(tmp_path, answers(json=True, total=False, tier=', tier="S"'))
    assert (ended.status, ended.banner) == (0, ("good", "PASSED")), ended.output
    assert ended.summary["layers"] == {"clients": "PASSED", "strict": "NOT FULLY JUDGED"}
    assert "PASSED: 3 passed, 0 failed, 1 not judged.\n" in ended.output


def test_known_causes_excuse(tmp_path: Path) -> None:
    """A check that was not judged only because of known failures does not fail the run."""
    known = tmp_path / "known.txt"
    known.write_text("B1.5  a body that is no JSON, known since long\n", "utf-8")
    ended = stage_foreign(tmp_path / "run", answers(json=False, total=False), f"--baseline={known}")
    assert ended.status == 0, ended.output
    assert ended.summary["layers"]["clients"] == "PASSED"


def test_half_known_causes_do_not_excuse(tmp_path: Path) -> None:
    """A check that was not judged because of a new failure, beside known ones, fails the run."""
    known = tmp_path / "known.txt"
    known.write_text("B1.5-plain  known of plain answers only\n", "utf-8")
    ended = stage_foreign(tmp_path / "run", answers(json=False, total=False), f"--baseline={known}")
    assert (ended.status, ended.summary["layers"]["clients"]) == (1, "FAILED"), ended.output
