"""The results of runs are those of the table in docs/guide/how-a-run-ends.md."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.fixtures.nested_pytest import FOREIGN, NestedPytest
from tests.fixtures.repository import ROOT

DOC = ROOT / "docs" / "guide" / "how-a-run-ends.md"
HEAD = '"""Checks of a server."""\nfrom lumen_conformance.registry import NotJudged\n'


def check_source(check_id: str, body: str, tier: str = "M") -> str:
    """Return the source of a check with this body."""
    name = check_id.lower().replace(".", "_")
    return f'@check("{check_id}", tier="{tier}")\ndef test_{name}():\n    """It holds."""\n    {body}\n'


def unjudged(because_of: str, tier: str = "M") -> str:
    """Return the source of a check that is not judged."""
    return check_source("C2.1", f'raise NotJudged("nothing came", ("{because_of}",))', tier)


HOLDS, FAILS, BREAKS, SKIPS = "pass", "assert False", "raise OSError('the suite broke')", "pytest.skip('not declared')"
FINE = check_source("C1.1", HOLDS)


class Case(NamedTuple):
    """The checks of a run, its baseline, its arguments."""

    checks: str
    baseline: str = ""
    arguments: tuple[str, ...] = ()


CASES = {
    "every check passed": Case(FINE),
    "an M check failed": Case(FINE + check_source("B1", FAILS)),
    "only an S check failed": Case(FINE + check_source("B1", FAILS, "S")),
    "only a W check failed": Case(FINE + check_source("B1", FAILS, "W")),
    "an M check failed, and the baseline lists it": Case(FINE + check_source("B1", FAILS), "B1"),
    "an M check passed, and the baseline lists it": Case(FINE + check_source("B1", HOLDS), "B1"),
    "an S check passed, and the baseline lists it": Case(FINE + check_source("B1", HOLDS, "S"), "B1"),
    "an M check was not judged because an M check failed": Case(FINE + check_source("B1", FAILS) + unjudged("B1")),
    "an M check was not judged because an S check failed": Case(FINE + check_source("B1", FAILS, "S") + unjudged("B1")),
    "an M check was not judged because of one that the baseline lists": Case(
        FINE + check_source("B1", FAILS) + unjudged("B1"), "B1"
    ),
    "an M check was not judged because of one that ended in an error": Case(
        FINE + check_source("B1", BREAKS) + unjudged("B1")
    ),
    "an M check was not judged, and nothing failed": Case(FINE + unjudged("C1.1")),
    "an S check was not judged, and nothing failed": Case(FINE + unjudged("C1.1", "S")),
    "a check of any tier ended in an error": Case(FINE + check_source("B1", BREAKS, "W")),
    "only S checks passed, no M check could run": Case(check_source("C1.1", HOLDS, "S") + check_source("B1", SKIPS)),
    "nothing passed: every check was skipped": Case(check_source("C1.1", SKIPS) + check_source("B1", SKIPS, "S")),
    "more checks were skipped than passed": Case(FINE + check_source("B1", SKIPS) + check_source("B2", SKIPS)),
    "the run was interrupted": Case(FINE + check_source("B1", "raise KeyboardInterrupt") + check_source("B2", HOLDS)),
    "no check was selected": Case(FINE, "", ("-m", "smoke")),
}


class LayersRow(NamedTuple):
    """A row of the table."""

    clients: str
    strict: str
    word: str
    status: int


def rows() -> dict[str, tuple[LayersRow, LayersRow]]:
    """Return the rows of the document: for the profile openai, and for lumen."""
    text = DOC.read_text("utf-8").partition("| what happened |")[2].partition("\n\n")[0]
    found = {}
    for line in text.splitlines()[2:]:
        what, clients, strict, word, status, lumen = (cell.strip() for cell in line.replace("`", "").split("|")[1:7])
        usual = LayersRow(clients, strict, word, int(status))
        own = re.fullmatch(r"([A-Z ]+), (\d)(?: \[clients: ([A-Z ]+)\])?", lumen)
        found[what] = usual, LayersRow(own[3] or clients, strict, own[1], int(own[2])) if own else usual
    return found


def test_the_table_is_complete() -> None:
    """The document has a row for each case, and no other row."""
    assert list(rows()) == list(CASES)


@pytest.mark.parametrize("profile", ["openai", "lumen"])
@pytest.mark.parametrize("what", CASES, ids=lambda what: re.sub(r"\W+", "-", what))
def test_a_row(nested: NestedPytest, tmp_path: Path, what: str, profile: str) -> None:
    """Layers, result and exit status in the summary, the terminal and the page are those of the row."""
    case, (usual, own) = CASES[what], rows()[what]
    row, deciding = (usual, "clients") if profile == "openai" else (own, "strict")
    nested.write({"contract/test_server.py": HEAD + case.checks})
    (tmp_path / "known.txt").write_text(f"{case.baseline}  known\n" if case.baseline else "", "utf-8")
    target = (FOREIGN, f"--proxy-profile={profile}")
    ended = nested.run(*target, f"--baseline={tmp_path / 'known.txt'}", *case.arguments)
    summary = ended.summary
    assert summary["layers"] == {"clients": row.clients, "strict": row.strict}, ended.output
    assert (summary["word"], summary["exit_status"], ended.status) == (row.word, row.status, row.status), ended.output
    assert summary["exit_status_follows"] == deciding
    assert f": {row.clients}\n" in ended.output
    assert f"the exit status follows {deciding}\n" in ended.output
    assert f"\n{row.word}: " in ended.output
    assert ended.banner[1] == row.word
    if row.status in {0, 1}:
        assert (row.status == 0) == (summary["layers"][deciding] in {"PASSED", "NOTHING PASSED"})
