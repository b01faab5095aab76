"""The summary and the annotations for GitHub have the results of the report, and no text of a server is markup."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lumen_conformance.report import github
from lumen_conformance.report.entries import unknown
from lumen_conformance.report.results import Result
from tests.fixtures.nested_pytest import NestedRun, stage

# In the text of the server: markup, a command, a mention, an issue, the end of a cell, an escape sequence of a terminal
# and a change of the direction of text.
HOSTILE = r"|x|<b>\n::error::y\r\n%0A`z` @team #1 a\\|b \x1b[2J\u202e"
MODULES = {
    "contract/test_one.py": f'''
        """One."""
        from lumen_conformance.registry import expect
        @check("B1.1")
        def test_fails():
            """A body | is JSON."""
            expect(False, "JSON", "{HOSTILE}")
        @check("B1.4")
        @pytest.mark.parametrize("row", ["a:b,c"])
        def test_fails_too(row):
            """A row is a title."""
            expect(False, "JSON", "")
        @check("B1.2", tier="W")
        def test_warns():
            """Advice."""
            expect(False, "a", "b")
        @check("B1.3")
        def test_passes():
            """It holds."""
    ''',
}


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> NestedRun:
    """A run with one failure, whose text is hostile."""
    folder = tmp_path_factory.mktemp("github")
    (folder / "summary.md").write_text("earlier\n", "utf-8")
    return stage(folder, MODULES, "--github-summary=summary.md")


def test_the_summary_is_appended(ended: NestedRun) -> None:
    """The summaries of other steps stay, and the result is the first line of ours."""
    lines = (ended.folder / "summary.md").read_text("utf-8").splitlines()
    assert lines[0] == "earlier"
    assert lines[1].endswith(": FAILED")
    assert "1 passed, 2 failed, 1 warned." in lines


def test_a_failure_is_one_row(ended: NestedRun) -> None:
    """The row has the id, the tier, the claim, and what was expected and found, without markup of the server."""
    (row,) = [
        line for line in (ended.folder / "summary.md").read_text("utf-8").splitlines() if line.startswith("| B1.1")
    ]
    assert row == (
        r"| B1.1 | M | A body \| is JSON. "
        r"| ``expected JSON; found \|x\|<b> ::error::y %0A`z` @team #1 a\\\|b \x1b[2J\u202e`` |"
    )


def test_causes_are_one_line(ended: NestedRun) -> None:
    """A cause is a code span too: nothing of the server is markup."""
    lines = [line for line in (ended.folder / "summary.md").read_text("utf-8").splitlines() if line.startswith("- ")]
    assert all(re.fullmatch(r"- (`+)(?:(?!\1).)+\1 \(1 failed\)", line) for line in lines), lines
    assert "@team" in "".join(lines)


def test_a_failure_is_one_annotation(ended: NestedRun) -> None:
    """A failure is one workflow command at the test; commands in the text of a server are ignored by GitHub."""
    file = "::error file=tests/contract/test_one.py"
    line = (
        f"{file},line=5,title=B1.1 (M)::A body | is JSON.: expected JSON; found |x|<b>%0A::error::y%0D%0A%250A`z` "
        r"@team #1 a\|b \x1b[2J\u202e"
    )
    assert list(obeyed(ended.output)) == [
        line,
        f"{file},line=9,title=B1.4-a%3Ab%2Cc (M)::A row is a title.: expected JSON; found ",
    ]
    assert "\n::error::y" in ended.output, "the terminal shows no text of the server, so this proves nothing"


def obeyed(output: str) -> Iterator[str]:
    """The workflow commands that GitHub obeys: those outside ``::stop-commands::TOKEN`` and ``::TOKEN::``."""
    token = ""
    for line in output.splitlines():
        if not token and line.startswith("::stop-commands::"):
            token = line.rpartition("::")[2]
        elif token and line == f"::{token}::":
            token = ""
        elif not token and line.startswith("::"):
            yield line
    assert not token, "commands stay stopped"


def test_a_large_summary_is_cut() -> None:
    """A table has 200 rows and a step ten annotations at most; a cell has 600 characters at most."""
    entry = replace(unknown("contract/test_one.py::test_one"), check_id="B1.1", claim="x" * 700)
    found = [Result(entry, "failed", "reason", crashed=False, duration_s=0.0, measurements=(), evidence=())] * 201
    table = github._table("Failures", found)  # noqa: SLF001 -- a run with so many failures takes seconds
    assert (len([line for line in table if line.startswith("| B1.1")]), table[-2]) == (200, "and 1 more in the report")
    assert f"| {'x' * 600}… |" in table[4]


def test_a_summary_fits_into_one_mebibyte() -> None:
    """Five hundred failures with Korean texts are cut at a line, and the last line has the number of the others."""
    text = github.fitting("".join(f"| C1.{n} | {'가' * 1_200} |\n" for n in range(500)))
    assert len(text.encode()) < 2**20
    rows = text.splitlines()[:-2]
    assert rows[-1].endswith("가 |")
    assert text.endswith(f"\n{500 - len(rows)} more lines in the report\n")
    assert github.fitting("a\nb\n") == "a\nb\n"


@pytest.mark.parametrize("used", [0, 500_000, 999_999, 2**20 - 10, 2**20, 5_000_000])
def test_the_limit_is_of_the_file(used: int) -> None:
    """What other tools have written counts, too: GitHub refuses the whole file."""
    text = github.fitting("## FAILED\n" + "row\n" * 400_000, used)
    assert used + len(text) <= max(used, 2**20)
    assert text.startswith("## FAILED\n") == (used < 999_999 - len("## FAILED"))


def test_the_file_is_measured(tmp_path: Path) -> None:
    """A summary behind a long one has the verdict, and says how many lines are left out."""
    (tmp_path / "summary.md").write_text("x" * 999_900 + "\n", "utf-8")
    stage(tmp_path, MODULES, "--github-summary=summary.md")
    lines = (tmp_path / "summary.md").read_text("utf-8").splitlines()
    assert lines[1].endswith(": FAILED")
    assert re.fullmatch(r"\d+ more lines in the report", lines[-1])


LONG = {
    "contract/test_long.py": '''
        """Long."""
        from lumen_conformance.registry import expect
        @check_each("n", {f"B1-{n}{'x' * 100}": n for n in "abcdefghij"})
        def test_many(n):
            """It has a long id."""
            expect(False, "a", "b")
    ''',
}
OPTION = "--proxy-command=server 'a  b' ``` " + "y" * 700


@pytest.mark.parametrize(("option", "ids"), [("--proxy-command=server", 5), (OPTION, 1), ("", 5)])
def test_the_command_runs(tmp_path: Path, option: str, ids: int) -> None:
    """The command for the largest cause has fewer ids where it is long; no end of it is cut, and no blank is lost."""
    ended = stage(tmp_path, LONG, "--github-summary=summary.md", *filter(None, [option]))
    text = (ended.folder / "summary.md").read_text("utf-8")
    found = re.search(r"^(`{3,})sh\n(.*?)\n\1$", text, re.DOTALL | re.MULTILINE)
    assert found, text
    words = shlex.split(found[2])
    assert (words.count("--only"), "…" in found[2]) == (ids, False)
    assert [each for each in words if each.endswith("x" * 100)] == [f"B1-{n}{'x' * 100}" for n in "abcdefghij"[:ids]]
    assert not option or words[-1] == option.partition("=")[2]


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    """An unusable path is refused before any test runs."""
    ended = stage(tmp_path, MODULES, "--github-summary=.")
    assert ended.status == pytest.ExitCode.USAGE_ERROR
    assert "--github-summary" in ended.output
