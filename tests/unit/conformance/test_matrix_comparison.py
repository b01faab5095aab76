"""The comparison of the matrix: reasons that lead to a failed check, and files that are written from observations."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from tests.fixtures.check_session import CheckItem, Outcome
from tests.fixtures.faults.catalogue import FAULTS
from tests.fixtures.faults.fault import companions, failures
from tests.matrix import snapshot
from tests.matrix.comparison import untraced
from tests.matrix.fault_run import failed_checks

NAMES = tuple(FAULTS)[:2]


def found(**outcomes: Outcome) -> dict[CheckItem, Outcome]:
    """Outcomes by check: C2_5 stands for C2.5."""
    checks = ((name.replace("_", "."), outcome) for name, outcome in outcomes.items())
    return {CheckItem(check, f"test[{check}]", cast("Any", None)): outcome for check, outcome in checks}


def because_of(*checks: str) -> Outcome:
    """A check that was not judged."""
    return Outcome("not_judged", "there was nothing to see", because_of=checks)


def test_a_traced_reason_is_no_difference() -> None:
    """A check may name one that was not judged either, where that one leads to a failed check."""
    outcomes = found(B1_5=Outcome("failed"), C2_5=because_of("B1.5"), C5_2=because_of("C2.5"))
    assert untraced(outcomes, failed_checks(outcomes)) == []


@pytest.mark.parametrize(
    ("outcomes", "text"),
    [
        (found(B1_5=Outcome("passed"), C2_5=because_of("B1.5")), "because of B1.5, but B1.5: passed"),
        (found(C2_5=because_of("Z9")), "because of Z9, but Z9: not run"),
        (found(C2_5=because_of()), "because of nothing, but it names no check"),
        (found(C2_5=because_of("C2.5")), "but it names no check"),
    ],
    ids=["green", "not-run", "no-name", "itself"],
)
def test_an_untraced_reason_is_a_difference(outcomes: dict[CheckItem, Outcome], text: str) -> None:
    """A run of every check reports an unjudged check whose reasons do not lead to a failed check."""
    (line,) = untraced(outcomes, failed_checks(outcomes))
    assert text in line


def test_a_reason_that_was_not_run_is_no_difference() -> None:
    """A sample of rows cannot show that a check with rows that were not run did not fail."""
    outcomes = found(B1_5=Outcome("passed"), C2_5=because_of("B1.5"))
    assert untraced(outcomes, failed_checks(outcomes), {"B1.5"}) == []


def test_files_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Observed entries replace those of their faults; comments and other entries stay, unknown faults are removed."""
    texts = {
        "FAILURES": "# head\n\n[gone]\nexpected: a\nfound: b\n",
        "COMPANIONS": "# head\n# of two lines\ngone: C1\n",
    }
    for name, text in texts.items():
        path = tmp_path / name
        path.write_text(text, "utf-8")
        monkeypatch.setattr(snapshot, f"{name}_FILE", path)
    monkeypatch.setattr(snapshot, "FAILURES", failures(texts["FAILURES"]))
    monkeypatch.setattr(snapshot, "COMPANIONS", companions(texts["COMPANIONS"]) | {NAMES[1]: ("C2.5",)})
    snapshot.write([{"name": NAMES[0], "text": ["an id", "none"], "companions": ["F2-*", "!F2-n-zero"]}])
    assert (tmp_path / "FAILURES").read_text("utf-8") == f"# head\n\n[{NAMES[0]}]\nexpected: an id\nfound: none\n"
    lines = (tmp_path / "COMPANIONS").read_text("utf-8").splitlines()
    assert lines == ["# head", "# of two lines", f"{NAMES[1]}: C2.5", f"{NAMES[0]}: F2-* !F2-n-zero"]
