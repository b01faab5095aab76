"""The terminal, the page, the causes and GitHub print each check by the id that `--only` and a baseline accept."""

from __future__ import annotations

from pathlib import Path

import pytest

from lumen_conformance.registry.visible_text import visible
from tests.fixtures.nested_pytest import NestedRun, stage_foreign

MODULES = {
    "contract/test_errors.py": '''
    """Errors: one row fails, and the baseline lists the other."""
    from lumen_conformance.registry import NotJudged, expect
    @check("F1.2")
    @pytest.mark.parametrize("row", ["lost", "refusal"])
    def test_envelope(row):
        """An error is an object."""
        expect(row == "refusal", "an object", "a list")
    @check("F1.3")
    @pytest.mark.parametrize("row", ["lost", "refusal"])
    def test_message(row):
        """An error has a message."""
        if row == "lost":
            raise NotJudged("no object", ("F1.2",))
    ''',
}
STALE = "baseline-out-of-date"


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> NestedRun:
    """Run the checks with a baseline of one line, whose check passes."""
    folder = tmp_path_factory.mktemp("names")
    (folder / "known.txt").write_text("F1.2-refusal  issue 17\n", "utf-8")
    return stage_foreign(folder, MODULES, "--baseline=known.txt", "--github-summary=summary.md")


def test_printed_names_are_ids(ended: NestedRun) -> None:
    """A check with a parameter is printed as F1.2-lost everywhere; its fields in the verdicts stay separate."""
    shown = {"terminal": ended.output, "page": ended.html, "GitHub": (ended.folder / "summary.md").read_text("utf-8")}
    assert [where for where, text in shown.items() if "F1.2 lost" in visible(text)] == []
    assert [where for where, text in shown.items() if "F1.2-lost" not in text] == []
    assert "::error" not in ended.output, "the files of the checks are none of the repository of a foreign server"
    assert "FAILED F1.2-refusal: " in ended.output
    assert "not judged, tier M: F1.3-lost\n" in ended.output
    assert "F1.2-lost" in ended.rows
    assert (ended.verdicts[0]["id"], ended.verdicts[0]["param"]) == ("F1.2", "lost")


def test_selection_by_a_printed_name(ended: NestedRun, tmp_path: Path) -> None:
    """`--only` accepts each printed name of a cause."""
    names = [name for cause in ended.summary["causes"] for name in (*cause["checks"], *cause["not_judged"])]
    assert sorted(names) == ["F1.2-lost", "F1.2-refusal", "F1.3-lost"]
    only = stage_foreign(tmp_path, MODULES, *(f"--only={name}" for name in names))
    assert len(only.verdicts) == 3, only.output


def test_a_stale_line_has_a_cause_of_its_own(ended: NestedRun) -> None:
    """A listed check that passes is no failure of the server: its cause is the baseline, in the verdict, too."""
    causes = {each["name"]: each for each in ended.summary["causes"]}
    assert causes[STALE]["checks"] == ["F1.2-refusal"]
    assert causes[STALE]["sentence"].startswith("the baseline is out of date")
    assert causes["F1.2: a list"]["checks"] == ["F1.2-lost"]
    by_row = {(each["id"], each["param"]): each["cause"] for each in ended.verdicts}
    assert by_row["F1.2", "refusal"] == STALE
    assert by_row["F1.3", "lost"] == "F1.2: a list"
