"""What a joined report takes from its records beside the outcomes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fixtures.nested_pytest import NestedRun, stage_foreign
from tests.unit.conformance.recorded_runs import change, merge

MODULES = {
    "contract/test_one.py": '''
        """One."""
        from pathlib import Path
        from lumen_conformance.registry import NotJudged
        @check("A1-strict", tier="S")
        def test_strict():
            """It is strict, and fails."""
            assert False
        @check("A2-evidence")
        def test_evidence(evidence_path):
            """It has evidence beside the record and elsewhere."""
            evidence_path(Path.cwd() / "evidence-1" / "server.log")
            evidence_path(Path("/elsewhere/server.log"))
        @check("A3-unjudged")
        def test_unjudged():
            """It needs the first check."""
            raise NotJudged("no answer", ("A1-strict",))
    ''',
    "contract/test_broken.py": '''
        """A module that cannot be imported."""
        import nowhere_to_be_found
    ''',
}


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The record of a run of a foreign target."""
    folder = tmp_path_factory.mktemp("run")
    ended = stage_foreign(folder, MODULES, "--record=record.jsonl", "--continue-on-collection-errors")
    assert ended.status == pytest.ExitCode.TESTS_FAILED, ended.output
    return folder / "record.jsonl"


@pytest.fixture(scope="module")
def joined(record: Path, tmp_path_factory: pytest.TempPathFactory) -> NestedRun:
    """The joined report of two systems."""
    base = tmp_path_factory.mktemp("joined")
    first = change(record, base / "first", duration_s=3.0, target="server one", selection="smoke")
    second = change(record, base / "second", duration_s=100.0, target="server two", selection="contract")
    return merge(base / "report", first, second)


def test_the_head_of_the_report(joined: NestedRun) -> None:
    """Targets and selections are those of all records, the duration is the longest, the layer is that of the runs."""
    assert joined.summary["target"] == "server one | server two"
    assert joined.summary["exit_status_follows"] == "clients"
    assert "smoke | contract" in joined.html
    assert "1 min 40 s" in joined.html


def test_a_module_that_could_not_be_imported(joined: NestedRun) -> None:
    """A module that could not be imported fails the joined report, which names it."""
    assert joined.status == pytest.ExitCode.TESTS_FAILED
    assert "test_broken.py" in joined.html
    assert "could not be collected" in joined.html


def test_evidence_and_causes_are_of_their_record(joined: NestedRun) -> None:
    """Evidence beside a record is found beside it, other evidence where it was; a check names causes of its system."""
    verdicts = {each["id"]: each for each in joined.verdicts}
    beside = joined.folder.parent / "second" / "evidence-1" / "server.log"
    assert verdicts["A2-evidence@second"]["evidence"] == [str(beside), "/elsewhere/server.log"]
    assert verdicts["A3-unjudged@first"]["because_of"] == ["A1-strict@first"]


def test_two_folders_of_one_name(record: Path, tmp_path: Path) -> None:
    """Two systems whose folders have the same name cannot be told apart."""
    records = [change(record, tmp_path / parent / "same") for parent in ("one", "two")]
    refused = merge(tmp_path / "report", *records)
    assert (refused.status, "give their folders different names" in refused.output) == (4, True), refused.output
