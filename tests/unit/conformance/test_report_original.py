"""The failures of a server that fails most checks are grouped into few causes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.fixtures.repository import ROOT
from tests.fixtures.suite_subprocess import run

ORIGINAL = ROOT / "tests" / "fixtures" / "original.py"
COMMAND = f"'{sys.executable}' '{ORIGINAL}' {{host}} {{port}} {{gateway_url}}"
MOST_CAUSES = 15  # what a person reads before fixing the first
# Without what waits for ten seconds: failures in a stream of a server that has none, and a silent gateway.
QUICK = "not test_late and not silent and not dripping and not wait and not G6 and not huge and not idling"


def test_hundreds_of_failures_have_few_causes(tmp_path: Path) -> None:
    """Hundreds of failures have at most fifteen causes, and each failure has one cause."""
    file = tmp_path / "summary.json"
    ended = run(
        tmp_path, f"--proxy-command={COMMAND}", "--proxy-profile=lumen", "--proxy-can=health", f"--summary={file}",
        "-k", QUICK,
    )  # fmt: skip
    summary = json.loads(file.read_text("utf-8"))
    explained = [check for cause in summary["causes"] for check in cause["checks"]]
    counts = summary["counts"]
    assert counts["error"] == 0, ended.output
    assert counts["failed"] == len(explained) > 300, ended.output
    assert len(summary["causes"]) < MOST_CAUSES, [cause["name"] for cause in summary["causes"]]  # G6 is one more
    assert f"{counts['failed']} failed, " in ended.output
    assert f"; {len(summary['causes'])} causes, first those" in ended.output
