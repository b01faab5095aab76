"""What a joined report takes from its records beside the outcomes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from lumen_conformance.report import record_copies
from lumen_conformance.report.recorded_run import Record
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


def test_a_check_is_run_again_with_the_options_of_its_run(joined: NestedRun) -> None:
    """The command has the options that the records have in common, not those of the merge."""
    assert "python -m pytest --only A1-strict --proxy-command server<" in joined.html


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


def head_only(text: str) -> str:
    """A file that was cut at the end of its first line."""
    return text.partition("\n")[0] + "\n"


def without(field: str, text: str) -> str:
    """The same without a field of the run."""
    head, _, lines = text.partition("\n")
    run = json.loads(head)["run"]
    return json.dumps({"run": {name: run[name] for name in run if name != field}}) + "\n" + lines


DAMAGED: dict[str, tuple[Callable[[str], str], str]] = {
    "cut": (head_only, "is not complete: it has 0 of "),
    "no-status": (partial(without, "exit_status"), "is no record of a run: "),
    "no-outcome": (lambda text: text.replace('"outcome": ', '"was": '), "is no record of a run: "),
    "deep": (lambda text: "[" * 100_000 + text, "is no record of a run: "),
    "copy": (str, "are records of the same run: give each run once"),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_record_is_refused(damage: str, record: Path, tmp_path: Path) -> None:
    """A record that was cut or changed by hand, or copied, is refused in one line."""
    change_text, message = DAMAGED[damage]
    damaged = tmp_path / "damaged" / "record.jsonl"
    damaged.parent.mkdir()
    damaged.write_text(change_text(record.read_text("utf-8")), "utf-8")
    refused = merge(tmp_path / "report", record, damaged)
    assert (refused.status, message in refused.output) == (4, True), refused.output
    assert "Traceback" not in refused.output


@pytest.mark.skipif(os.name == "nt", reason="Windows has no FIFO")
def test_regular_files_of_named_evidence_are_copied(record: Path, tmp_path: Path) -> None:
    """A server may link to any file of its user, so links are left out, and so are FIFOs and evidence of other runs."""
    source = change(record, tmp_path / "run")
    for name in ("evidence-1", "evidence-old"):
        (tmp_path / "run" / name).mkdir()
        (tmp_path / "run" / name / "server.log").write_text("ready")
    (tmp_path / "run" / "evidence-1" / "home").symlink_to(tmp_path)
    os.link(record, tmp_path / "run" / "evidence-1" / "hard.log")
    os.mkfifo(tmp_path / "run" / "evidence-1" / "pipe")
    record_copies.copy([Record.read(source)], tmp_path / "parts")
    copied = {path.relative_to(tmp_path / "parts").as_posix() for path in (tmp_path / "parts").rglob("*")}
    assert copied == {"run", "run/record.jsonl", "run/evidence-1", "run/evidence-1/server.log"}
