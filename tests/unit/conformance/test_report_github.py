"""The summary and the annotations for GitHub have the results of the report, and no text of a server is markup."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

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
    assert "1 passed, 1 failed, 1 warned" in lines


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
    (line,) = [line for line in (ended.folder / "summary.md").read_text("utf-8").splitlines() if line.startswith("- ")]
    assert re.fullmatch(r"- (`+)(?:(?!\1).)+\1 \(1\)", line), line
    assert "@team" in line


def test_a_failure_is_one_annotation(ended: NestedRun) -> None:
    """A failure is one workflow command; commands in the text of a server are ignored by GitHub; advice is none."""
    line = (
        "::error title=B1.1 (M)::A body | is JSON.: expected JSON; found |x|<b>%0A::error::y%0D%0A%250A`z` "
        r"@team #1 a\|b \x1b[2J\u202e"
    )
    assert list(obeyed(ended.output)) == [line]
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


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    """An unusable path is refused before any test runs."""
    ended = stage(tmp_path, MODULES, "--github-summary=.")
    assert ended.status == pytest.ExitCode.USAGE_ERROR
    assert "--github-summary" in ended.output
