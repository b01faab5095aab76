"""The failures of a server that fails most checks are grouped into few causes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.fixtures.repository import ROOT
from tests.fixtures.suite_subprocess import run

ORIGINAL = ROOT / "tests" / "fixtures" / "original.py"
COMMAND = f"'{sys.executable}' '{ORIGINAL}' {{host}} {{port}} {{gateway_url}}"
# Requests that are refused, HTTP, origins: more than half of what this server gets wrong.
AREAS = tuple(f"tests/contract/test_{name}.py" for name in ("f_errors", "f_http", "h_origin"))
MOST_CAUSES = 20  # what a person reads before fixing the first


def test_hundreds_of_failures_have_few_causes(tmp_path: Path) -> None:
    """More than a hundred failures have at most twenty causes, and each failure has one cause."""
    file = tmp_path / "summary.json"
    ended = run(
        tmp_path, f"--proxy-command={COMMAND}", "--proxy-profile=lumen", "--proxy-can=health", f"--summary={file}",
        "-k", "not silent and not dripping", tests=AREAS,
    )  # fmt: skip
    summary = json.loads(file.read_text("utf-8"))
    explained = [check for cause in summary["causes"] for check in cause["checks"]]
    assert summary["counts"]["failed"] + summary["counts"]["error"] == len(explained) > 100, ended.output
    assert len(summary["causes"]) <= MOST_CAUSES, [cause["name"] for cause in summary["causes"]]
    counts = summary["counts"]
    assert f"{counts['failed']} failed, " in ended.output
    assert f"; {len(summary['causes'])} causes, first those" in ended.output
