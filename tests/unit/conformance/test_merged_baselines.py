"""Records with baselines in one report: each system keeps its own; the parts of a run have the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fixtures.nested_pytest import NestedRun, stage_foreign
from tests.unit.conformance.recorded_runs import change, merge

MODULES = {
    "contract/test_answers.py": '''
        """Answers: an error has two rows, of which one fails with FAULT."""
        from lumen_conformance.registry import expect
        @check("F1.2")
        @pytest.mark.parametrize("row", ["lost", "refusal"])
        def test_error(row):
            """An error is an object."""
            expect(row == "refusal" or "FAULT" not in os.environ, "an object", "an error page")
    ''',
    "contract/test_others.py": '''
        """Others: no fault fails them."""
        @check("C1.1")
        def test_other():
            """It holds."""
    ''',
}
FAULTY = {"FAULT": "1"}


def record(folder: Path, *arguments: str, baseline: str = "", **environ: str) -> Path:
    """Run the checks with a baseline; return the record."""
    folder.mkdir()
    (folder / "known.txt").write_text(baseline, "utf-8")
    path = folder / "record.jsonl"
    ended = stage_foreign(
        folder, MODULES, f"--record={path}", f"--baseline={folder / 'known.txt'}", *arguments, **environ
    )
    assert ended.status in {0, 1, 5}, ended.output
    return path


def outcomes(ended: NestedRun) -> dict[str, str]:
    """Return the outcome of each check and row."""
    return {" ".join(filter(None, [each["id"], each["param"]])): each["outcome"] for each in ended.verdicts}


def test_each_system_keeps_its_baseline(tmp_path: Path) -> None:
    """A line of one system excuses nothing of another; a line that is out of date names its own file."""
    known = record(tmp_path / "known", baseline="F1.2-lost  issue 17\n", **FAULTY)
    new = record(tmp_path / "new", **FAULTY)
    stale = record(tmp_path / "stale", baseline="F1.2-lost  issue 18\n")
    joined = merge(tmp_path / "joined", known, new, stale)
    found = outcomes(joined)
    assert {name: outcome for name, outcome in found.items() if outcome != "passed"} == {
        "F1.2@known lost": "baselined",
        "F1.2@new lost": "failed",
        "F1.2@stale lost": "failed",
    }
    assert f"{tmp_path / 'stale' / 'known.txt'} lists F1.2@stale-lost (issue 18), but it passes" in joined.output


def test_two_selections_of_one_system(tmp_path: Path) -> None:
    """Two runs without a common test keep their baselines too, also if both have rows of the same check."""
    known = record(tmp_path / "known", "--only=F1.2-lost", baseline="F1.2  issue 17\n", **FAULTY)
    other = record(tmp_path / "other", "--only=F1.2-refusal", "--only=C1.1")
    assert outcomes(merge(tmp_path / "joined", known, other)) == {
        "F1.2@known lost": "baselined",
        "F1.2@other refusal": "passed",
        "C1.1@other": "passed",
    }


@pytest.mark.parametrize("copies", [1, 2])
def test_a_partly_selected_line_is_not_stale(tmp_path: Path, copies: int) -> None:
    """A line of a check of which only some rows ran is not out of date, for one record and for several systems."""
    path = record(tmp_path / "first", "--only=F1.2-lost", baseline="F1.2  issue 17\nC1.1  not selected\n")
    copy = change(path, tmp_path / "second")
    joined = merge(tmp_path / "joined", *(path, copy)[:copies])
    assert (joined.status, set(outcomes(joined).values())) == (0, {"passed"}), joined.output


def test_parts_with_a_baseline(tmp_path: Path) -> None:
    """The parts of a run have one baseline, and a line is judged once, by the part that runs its check."""
    lines = "F1.2-lost  issue 17\nC1.1  issue 18\n"
    parts = [record(tmp_path / part, f"--shard={part}/2", baseline=lines, **FAULTY) for part in "12"]
    joined = merge(tmp_path / "joined", *parts)
    assert outcomes(joined) == {"F1.2 lost": "baselined", "F1.2 refusal": "passed", "C1.1": "failed"}


def test_the_parts_of_a_run_have_one_baseline(tmp_path: Path) -> None:
    """Parts with different baselines are refused; two systems may differ in a baseline."""
    parts = [record(tmp_path / f"part{part}", f"--shard={part}/2") for part in (1, 2)]
    known = {"F1.2": "issue 17"}
    changed = [change(path, tmp_path / "changed" / path.parent.name, baseline=known) for path in parts]
    refused = merge(tmp_path / "one", changed[0], parts[1])
    assert (refused.status, 'baseline is {"F1.2": "issue 17"} and {}' in refused.output) == (4, True), refused.output
    systems = [change(path, tmp_path / f"other-{path.parent.name}", baseline=known) for path in parts]
    assert merge(tmp_path / "two", *parts, *systems).status == 1, "the line of the second system is out of date"
