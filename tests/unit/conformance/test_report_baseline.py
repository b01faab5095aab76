"""A baseline is written from the failures of a run, used by the next run, and updated."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fixtures.nested_pytest import NestedRun, stage, stage_foreign

TESTS = '''
    """Answers: some are wrong."""
    from lumen_conformance.registry import NotJudged, expect
    @check("B1.5")
    @pytest.mark.parametrize("row", ["plain", "stream"])
    def test_json(row):
        """The body is JSON."""
        expect({json}, "one JSON value", "an\\n  error page", at="byte 0")
    @check("C2.5")
    @pytest.mark.parametrize("row", ["plain", "stream"])
    def test_answer(row):
        """The answer fits the schema."""
        expect(row == "plain", "an answer", "#1 of no kind")
    @check("C5.2")
    def test_total():
        """The total is the sum."""
        if not {json}:
            raise NotJudged("the body is no JSON", ("B1.5",))
    @check("C6.1")
    def test_alone():
        """It needs what nobody has."""
        raise NotJudged("no stream was asked for", ())
    @check("C7", tier="S")
    def test_strict():
        """It is strict."""
        assert False
    '''
WRITTEN = """\
# Known failures: a check id, with parameters if only some rows fail; then the reason.
B1.5  an error page
C2.5-stream  #1 of no kind
C6.1  not judged: no stream was asked for
"""


def run_server_tests(base: Path, *arguments: str, json: bool = False) -> NestedRun:
    """Run checks of a server of which some fail."""
    return stage_foreign(base, {"contract/test_answers.py": TESTS.replace("{json}", str(json))}, *arguments)


def test_a_written_baseline_can_be_read(tmp_path: Path) -> None:
    """A run writes its failures to a baseline; a run with this baseline passes."""
    known = tmp_path / "known.txt"
    red = run_server_tests(tmp_path / "red", f"--write-baseline={known}")
    assert (red.status, known.read_text("utf-8")) == (1, WRITTEN), red.output
    assert [path.name for path in tmp_path.glob("known*")] == ["known.txt"]
    green = run_server_tests(tmp_path / "green", f"--baseline={known}")
    assert (green.status, green.summary["layers"]["clients"]) == (0, "PASSED"), green.output


def test_an_old_baseline_is_updated(tmp_path: Path) -> None:
    """An update keeps comments and lines of failing checks, removes those of passing checks, and adds new failures.

    Ids in their old form are written in their present form.
    """
    known = tmp_path / "known.txt"
    known.write_text("# remarks stay\n\nB1.5.plain  issue 17\nC2.5.stream  issue 18\n", "utf-8")
    run_server_tests(tmp_path / "run", f"--baseline={known}", f"--write-baseline={known}", json=True)
    assert known.read_text("utf-8") == (
        "# remarks stay\n\nC2.5-stream  issue 18\nC6.1  not judged: no stream was asked for\n"
    )


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
@pytest.mark.parametrize("part", [("-k", "C2.5-plain"), ("tests/contract/test_answers.py::test_answer[C2.5-plain]",)])
def test_a_partly_selected_check_keeps_its_line(tmp_path: Path, part: tuple[str, ...], workers: str) -> None:
    """A listed check of which not all rows run does not count as passed, and keeps its line."""
    known = tmp_path / "known.txt"
    known.write_text("C2.5  issue 19\n", "utf-8")
    ended = run_server_tests(tmp_path / "run", f"--baseline={known}", f"--write-baseline={known}", workers, *part)
    assert (ended.status, known.read_text("utf-8")) == (0, "C2.5  issue 19\n"), ended.output


def test_no_other_file_is_replaced(tmp_path: Path) -> None:
    """An existing file is not overwritten; the usage error names it."""
    known = tmp_path / "known.txt"
    known.write_text("somebody's\n", "utf-8")
    ended = run_server_tests(tmp_path / "run", f"--write-baseline={known}")
    assert (ended.status, f"--write-baseline={known} exists" in ended.output) == (4, True), ended.output
    assert known.read_text("utf-8") == "somebody's\n"


def test_our_own_proxy_has_no_baseline(tmp_path: Path) -> None:
    """A baseline can be written only for a foreign target."""
    modules = {"contract/test_answers.py": TESTS.replace("{json}", "True")}
    ended = stage(tmp_path, modules, "--write-baseline=known.txt")
    assert (ended.status, "--write-baseline needs a foreign target" in ended.output) == (4, True), ended.output


def test_an_interrupted_run_writes_no_baseline(tmp_path: Path) -> None:
    """A run that was interrupted writes no baseline."""
    stopped = TESTS.replace('expect(row == "plain"', "raise KeyboardInterrupt\n        (1")
    modules = {"contract/test_answers.py": stopped}
    ended = stage_foreign(tmp_path, modules, "--write-baseline=known.txt")
    assert (ended.status, (tmp_path / "known.txt").exists()) == (pytest.ExitCode.INTERRUPTED, False), ended.output
    assert "is not written" in ended.output


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_a_selection_by_id_needs_no_other_baseline(tmp_path: Path, workers: str) -> None:
    """A baseline may list checks that --only leaves out."""
    known = tmp_path / "known.txt"
    known.write_text("B1.5  issue 17\n", "utf-8")
    ended = run_server_tests(tmp_path / "run", "tests", "--only=C5.2", f"--baseline={known}", workers, json=True)
    assert (ended.status, ended.summary["counts"]["passed"]) == (0, 1), ended.output
