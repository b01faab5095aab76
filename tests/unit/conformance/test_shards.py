"""Parts of a run: a partition, the same each time, of nearly equal durations; their records make one report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumen_conformance import suites
from lumen_conformance.report.shards import DURATIONS_FILE, parts
from tests.fixtures.nested_pytest import NestedPytest, NestedRun, stage
from tests.fixtures.repository import ROOT
from tests.unit.conformance.recorded_runs import change, merge

MODULES = {
    "contract/test_one.py": '''
        """One."""
        @check("1.1-one")
        def test_one():
            """Holds."""
        @check("1.2-two")
        def test_two():
            """Fails, and has characters in its text that end a line or cannot be written as UTF-8."""
            assert 1 == 2, "\\u2028 \\x85 \\ud800"
    ''',
    "contract/test_two.py": '''
        """Two."""
        @check_each("row", {"2.1-a": 1, "2.2-b": 2})
        def test_row(row):
            """Holds, or is skipped."""
            if row == 2:
                pytest.skip("not here")
    ''',
    "unit/test_three.py": '''
        """Three."""
        def test_plain():
            """Holds."""
        @pytest.fixture
        def broken():
            raise RuntimeError("no stage")
        @check("3.1-broken")
        def test_broken(broken):
            """Cannot be set up."""
    ''',
}


@given(st.dictionaries(st.text(), st.floats(min_value=0, max_value=1e6)), st.integers(min_value=1, max_value=9))
def test_parts_are_a_partition(durations_s: dict[str, float], number: int) -> None:
    """Each module is in one part, and no part has more than its share and the longest module."""
    dealt = parts(durations_s, number)
    assert sorted(name for part in dealt for name in part) == sorted(durations_s)
    longest_s = max(durations_s.values(), default=0)
    share_s = sum(durations_s.values()) / number
    assert all(sum(durations_s[name] for name in part) <= (share_s + longest_s) * (1 + 1e-9) for part in dealt)


def test_three_parts_of_the_suite_are_balanced() -> None:
    """With the recorded durations, no third of the suite takes more than 1.1 times an even share."""
    durations_s: dict[str, float] = json.loads(DURATIONS_FILE.read_text("utf-8"))
    totals_s = [sum(durations_s[name] for name in part) for part in parts(durations_s, 3)]
    assert max(totals_s) <= 1.1 * sum(totals_s) / 3


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> NestedRun:
    """One run of everything."""
    return stage(tmp_path_factory.mktemp("whole"), MODULES, "--junit-xml=junit.xml")


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The records of three parts, each in a folder of its own."""
    folder = tmp_path_factory.mktemp("parts")
    nested = NestedPytest(folder)
    nested.write(MODULES)
    files = [folder / f"part{part}" / "record.jsonl" for part in (1, 2, 3)]
    for part, file in enumerate(files, 1):
        nested.run(f"--shard={part}/3", f"--record={file}")
    return files


def test_three_parts_are_one_run(whole: NestedRun, records: list[Path], tmp_path: Path) -> None:
    """The joined report has the outcomes, counts, verdicts and exit status of one run."""
    joined = merge(tmp_path / "joined", *records)
    assert joined.status == whole.status
    assert (joined.rows, joined.counts) == (whole.rows, whole.counts)
    assert by_id(joined) == by_id(whole)
    assert joined.summary["counts"] == whole.summary["counts"]
    assert figures(joined) == figures(whole)


def by_id(ended: NestedRun) -> dict[str, tuple[str, str]]:
    """The outcome and the reason of each check."""
    return {each["id"]: (each["outcome"], each["reason"]) for each in ended.verdicts}


def figures(ended: NestedRun) -> list[str]:
    """The counts of JUnit."""
    head = (ended.folder / "junit.xml").read_text("utf-8").partition("<testcase")[0]
    return [word for word in head.split() if word.startswith(("errors=", "failures=", "skipped=", "tests="))]


def test_a_missing_part_is_refused(records: list[Path], tmp_path: Path) -> None:
    """Two parts of three are no report: the third may have failed."""
    joined = merge(tmp_path / "joined", *records[:2])
    assert joined.status == pytest.ExitCode.USAGE_ERROR
    assert "shard 3/3 is missing" in joined.output


def test_two_systems_in_one_report(tmp_path: Path) -> None:
    """The same checks of two systems are told apart by the folders of their records."""
    files = [tmp_path / "runs" / name / "record.jsonl" for name in ("linux", "windows")]
    (tmp_path / "runs").mkdir()
    nested = NestedPytest(tmp_path / "runs")
    nested.write(MODULES)
    for file in files:
        nested.run(f"--record={file}")
    joined = merge(tmp_path / "joined", *files)
    outcomes = {each["id"]: each["outcome"] for each in joined.verdicts}
    assert outcomes["1.1-one@linux"] == outcomes["1.1-one@windows"] == "passed"
    assert outcomes["1.2-two@linux"] == outcomes["1.2-two@windows"] == "failed"


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"run": {"version": 99}}'])
def test_no_record(text: str, tmp_path: Path) -> None:
    """A file that is no record of this version is one line, and a usage error."""
    (tmp_path / "record.jsonl").write_text(text, "utf-8")
    joined = merge(tmp_path / "joined", tmp_path / "record.jsonl")
    assert joined.status == pytest.ExitCode.USAGE_ERROR
    assert "record.jsonl" in joined.output


GREEN = {
    "unit/test_green.py": '''
    """Green."""
    def test_plain():
        """Holds."""
'''
}


@pytest.fixture(scope="module")
def green(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The record of a run that passed."""
    return stage(tmp_path_factory.mktemp("green"), GREEN, "--record=record.jsonl").folder / "record.jsonl"


@pytest.mark.parametrize(("recorded", "joined"), [(0, 0), (5, 0), (1, 1), (2, 2), (3, 3), (4, 4)])
def test_the_exit_status_of_a_record_counts(recorded: int, joined: int, green: Path, tmp_path: Path) -> None:
    """A run that failed or was cut short is not passed in the joined report, although all of its tests passed."""
    record = change(green, tmp_path / "changed", exit_status=recorded)
    ended = merge(tmp_path / "report", record)
    assert ended.status == joined
    assert ("exit status" in ended.output) == (recorded not in {0, 5})


def test_parts_of_different_runs_are_refused(records: list[Path], tmp_path: Path) -> None:
    """Parts of 3 beside a part of 2, a part that only one of two systems has, and two selections are no run."""
    other = change(records[0], tmp_path / "other", shard="1/2")
    again = change(records[0], tmp_path / "again")
    select = change(records[0], tmp_path / "select", conditions={"-m": "smoke"})
    first = f"{records[0]}"
    refused = {
        "parts of different runs": (*records, other),
        f"shard 1/3 is given 2 times, by {first} and {again}: give": (*records, again),
        f"shard 1/3 is given 2 times, by {first} and {again}; shard 2/3, 3/3 is missing": (records[0], again),
        f"{first} is given twice": (*records, records[0]),
        '-m is "smoke" and ""': (select, *records[1:]),
    }
    for number, (error, files) in enumerate(refused.items()):
        joined = merge(tmp_path / str(number), *files)
        assert (joined.status, error in joined.output) == (pytest.ExitCode.USAGE_ERROR, True), joined.output


def test_a_part_without_a_test_passes(tmp_path: Path) -> None:
    """With fewer modules than parts, the parts without a module are no mistake; the tests of others are counted."""
    parts = [stage(tmp_path / str(part), GREEN, f"--shard={part}/2") for part in (1, 2)]
    assert [part.status for part in parts] == [0, 0]
    assert ["1 deselected" in part.output for part in parts] == [False, True]


def test_every_module_has_a_duration() -> None:
    """The durations are those of the modules of both suites; `python benchmarks/durations.py` measures them."""
    folders = (ROOT / "tests" / name for name in suites.NAMES)
    modules = {f"{path.parent.name}/{path.name}" for folder in folders for path in folder.glob("test_*.py")}
    assert set(json.loads(DURATIONS_FILE.read_text("utf-8"))) == modules - {"contract/test_k_clients.py"}
