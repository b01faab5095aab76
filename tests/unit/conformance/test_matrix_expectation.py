"""What the matrix holds a fault to: reasons that can be traced, and files that are written as seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from tests.fixtures.faults.catalogue import FAULTS
from tests.fixtures.faults.fault import companions, failures
from tests.matrix import snapshot
from tests.matrix.expectation import untraced
from tests.matrix.fault_run import red_of
from tests.matrix.in_process_runner import Asked, Outcome

NAMES = tuple(FAULTS)[:2]


def found(**outcomes: Outcome) -> dict[Asked, Outcome]:
    """Outcomes by check: C2_5 stands for C2.5."""
    checks = ((name.replace("_", "."), outcome) for name, outcome in outcomes.items())
    return {Asked(check, f"test[{check}]", cast("Any", None)): outcome for check, outcome in checks}


def because_of(*checks: str) -> Outcome:
    """A check that was not judged."""
    return Outcome("not_judged", "there was nothing to see", because_of=checks)


def test_a_traced_reason_is_no_surprise() -> None:
    """A check may name one that was not judged either, where that one leads to a red one."""
    seen = found(B1_5=Outcome("failed"), C2_5=because_of("B1.5"), C5_2=because_of("C2.5"))
    assert untraced(seen, red_of(seen)) == []


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        (found(B1_5=Outcome("passed"), C2_5=because_of("B1.5")), "because of B1.5, but B1.5 is green"),
        (found(C2_5=because_of("Z9")), "because of Z9, but Z9 is not asked"),
        (found(C2_5=because_of()), "because of nothing, but it names no check"),
        (found(C2_5=because_of("C2.5")), "but it names no check"),
    ],
    ids=["green", "not-asked", "no-name", "itself"],
)
def test_an_untraced_reason_is_a_surprise(
    seen: dict[Asked, Outcome], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where everything is asked, a check that was not judged although nothing that it names is red is a surprise."""
    monkeypatch.setattr("tests.matrix.expectation.WHOLE", True)
    (line,) = untraced(seen, red_of(seen))
    assert told in line


def test_files_are_written_as_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was seen replaces the entries of its faults; comments at the head and other entries stay, strangers go."""
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
    snapshot.write([{"name": NAMES[0], "told": ["an id", "none"], "companions": ["F2.*", "!F2.n-zero"]}])
    assert (tmp_path / "FAILURES").read_text("utf-8") == f"# head\n\n[{NAMES[0]}]\nexpected: an id\nfound: none\n"
    lines = (tmp_path / "COMPANIONS").read_text("utf-8").splitlines()
    assert lines == ["# head", "# of two lines", f"{NAMES[1]}: C2.5", f"{NAMES[0]}: F2.* !F2.n-zero"]
