"""The league counts what a server did, and apart from it what the suite could not do."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lumen_conformance.cli.list_checks import read

if TYPE_CHECKING:
    from league.runs import ServerResult

Verdict = dict[str, Any]
BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def path_of_the_league(monkeypatch: pytest.MonkeyPatch) -> None:
    """A script's own package, on its own path."""
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])


def verdict(check: str, outcome: str, *, tier: str = "M", cause: str = "", because: tuple[str, ...] = ()) -> Verdict:
    """One line of the verdicts, as the league reads it."""
    told = {"id": check, "param": None, "tier": tier, "outcome": outcome, "claim": "A claim"}
    return told | {"cause": cause or None, "because_of": list(because)}


def note(check: str) -> dict[str, Any]:
    """A failure as the league keeps it."""
    told = f"{check} (M) broken: A claim\n  expected: a\n  found:    b\n  repeat:   curl -sS http://127.0.0.1:1/{check}"
    return {"nodeid": f"tests/contract/test_x.py::test_x[{check}]", "failure": told, "sections": {}}


def outcome(*verdicts: Verdict, notes: tuple[Verdict, ...] = (), ending: Verdict | None = None) -> ServerResult:
    """What came of one server."""
    from league import runs, servers  # noqa: PLC0415 -- see path_of_the_league

    return runs.ServerResult(servers.SERVERS[0], verdicts, notes, ending or {})


def test_counts_of_each_tier_and_of_what_was_not_judged() -> None:
    """The row has the words of both layers, M and S apart, and what was not judged apart from what failed."""
    from league import pages  # noqa: PLC0415 -- see path_of_the_league

    seen = outcome(
        verdict("F8", "passed"), verdict("C4.1", "failed", cause="C4.1"), verdict("G7.1", "error"),
        verdict("F1.2", "not_judged", because=("C4.1",)), verdict("E3.1", "warned", tier="S", cause="E3.1"),
        verdict("E5.1", "passed", tier="S"), ending={"layers": {"clients": "FAILED", "strict": "FAILED"}},
    )  # fmt: skip
    page = "\n".join(pages.table([seen]))
    assert re.search(r"^Measured with lumen-conformance \d+\.\d+\.\d+, Python ", page, re.MULTILINE)
    assert "| M passed | M failed | causes | M not judged | S reported | skipped | errors |" in page
    assert re.search(
        r"FAILED \| 1 \| 1 \| \[1\]\(league-failures\.md#litellm-proxy-\d+\) \| 1 \| 1 \| 0 \| 1 \| 0 s \| \d", page
    )
    assert "- broken: A claim. Checks: C4.1. Not judged because of it: 1 more." in page
    assert "not of the server: G7.1." in page


def test_failures_of_one_cause_stand_together() -> None:
    """A cause is one entry with its sentence, its checks and one request; what is only reported is one line."""
    from league import pages  # noqa: PLC0415 -- see path_of_the_league

    failed = [verdict(f"F2-{row}-never-fails", "failed", cause="crash") for row in ("n-zero", "json-cut")]
    ending = {"causes": [{"name": "crash", "sentence": "bad requests are answered with 500"}]}
    seen = outcome(
        *failed, verdict("E3.1", "warned", tier="S"),
        notes=(note("F2-n-zero-never-fails"), note("F2-json-cut-never-fails")), ending=ending,
    )  # fmt: skip
    page = "\n".join(pages.appendix([seen]))
    assert "### bad requests are answered with 500\n\nChecks: F2-…-never-fails (json-cut, n-zero)." in page
    assert "127.0.0.1:PORT/F2-json-cut" in page
    assert "127.0.0.1:PORT/F2-n-zero" not in page
    assert "### Only reported\n\n- broken: A claim. Checks: E3.1." in page


def test_what_a_page_says_about_servers_that_were_not_judged_here_stays() -> None:
    """The row and the section of a server are those of the earlier page, where it was not judged since."""
    from league import pages, servers  # noqa: PLC0415 -- see path_of_the_league

    judged = [outcome(verdict("C4.1", "failed", cause="C4.1")), outcome(verdict("C4.1", "passed"))]
    first = ["\n".join(write([judged[0]])) for write in (pages.table, pages.appendix)]
    for write, page in zip((pages.table, pages.appendix), first, strict=True):
        assert "\n".join(write([pages.Earlier(servers.SERVERS[0], page)])) == page
        assert "\n".join(write([judged[1]])) != page
        assert "C4.1" not in "\n".join(write([pages.Earlier(servers.SERVERS[1], page)]))


def test_a_name_that_no_server_has(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown name is refused with the names that there are."""
    from league import __main__ as league  # noqa: PLC0415 -- see path_of_the_league

    assert league.main(["litelm"]) == 2
    assert "unknown server litelm; expected: litellm, lm-proxy" in capsys.readouterr().err


def test_the_page_accuses_by_checks_of_tier_m_only() -> None:
    """Each check below "What clients break on" is a check of tier M today."""
    tiers = {check["id"]: check["tier"] for check in read()}
    page = (BENCHMARKS.parent / "docs" / "league.md").read_text("utf-8")
    listed = {check for line in re.findall(r"(?m)^- .*Checks: (\S.*?)\.(?: Not|$)", page) for check in named_in(line)}
    assert listed
    assert {check for check in listed if tiers.get(check) != "M"} == set()


def named_in(line: str) -> Iterator[str]:
    """The checks of a line such as ``C2.1, F2-…-never-fails (n-zero, not-json)``."""
    for whole, rows in re.findall(r"([^\s,()]+)(?: \(([^)]*)\))?", line):
        yield from (whole.replace("…", row) for row in rows.split(", ")) if rows else [whole]
