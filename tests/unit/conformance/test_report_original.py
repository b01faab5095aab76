"""The failures of a server that fails most checks are grouped into few causes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.clients.versions import PYTHON
from tests.fixtures.repository import ROOT
from tests.fixtures.suite_subprocess import run
from tests.unit.proxy.test_browser import BROWSER_S, missing_browser

ORIGINAL = ROOT / "tests" / "fixtures" / "original.py"
COMMAND = f"'{sys.executable}' '{ORIGINAL}' {{host}} {{port}} {{gateway_url}}"
MOST_CAUSES = 15  # what a person reads before fixing the first
# All modules with a failure; those of streams only repeat that there is none.
MODULES = (
    "c_answer", "d_sse", "f_errors", "f_http", "g_crowd", "g_failures", "g_metadata", "g_translation", "h_bodies",
    "h_connections", "h_framing", "h_origin", "h_requests", "j_structured",
)  # fmt: skip
# Without what waits for ten seconds, and without rows of which others find the same.
QUICK = (
    "not silent and not dripping and not wait and not huge and not idling and not test_no_leaks and not test_param "
    "and not test_bad_request_is_no_failure and not nothing and not test_accepted"
)
SCRIPT = ROOT / "tests" / "fixtures" / "report_causes.py"
SCREEN_PX = 800  # of 1280 x 800: a laptop
LOW_SCREEN_PX = 260  # lower than the names, so that the last is reached by scrolling


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the reports of one run."""
    folder = tmp_path_factory.mktemp("original")
    ended = run(
        folder, f"--proxy-command={COMMAND}", "--proxy-profile=lumen", "--proxy-can=health",
        f"--summary={folder / 'summary.json'}", "-k", QUICK,
        tests=[f"tests/contract/test_{name}.py" for name in MODULES],
    )  # fmt: skip
    (folder / "output.txt").write_text(ended.output, "utf-8")
    return folder


def test_hundreds_of_failures_have_few_causes(folder: Path) -> None:
    """Hundreds of failures have at most fifteen causes, and each failure has one cause."""
    summary, output = (
        json.loads((folder / "summary.json").read_text("utf-8")),
        (folder / "output.txt").read_text("utf-8"),
    )
    explained = [check for cause in summary["causes"] for check in cause["checks"]]
    counts = summary["counts"]
    assert counts["error"] == 0, output
    assert counts["failed"] == len(explained) > 300, output
    assert len(summary["causes"]) < MOST_CAUSES, [cause["name"] for cause in summary["causes"]]  # G6 is one more
    assert f"{counts['failed']} failed, " in output
    assert f"; {len(summary['causes'])} causes, first those" in output


@pytest.mark.skipif(missing_browser() is not None, reason=str(missing_browser()))
def test_the_first_screen_has_all_causes(folder: Path) -> None:
    """The first screen has the names of all causes; a click shows the evidence and the command of one beside them."""
    command = [str(PYTHON), str(SCRIPT), str(folder / "report.html"), str(folder / "found.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=BROWSER_S, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr
    found = json.loads((folder / "found.json").read_text("utf-8"))
    summary = json.loads((folder / "summary.json").read_text("utf-8"))
    assert len(found["names"]) == len(found["causes"]) == len(summary["causes"])
    assert max(found["names"]) <= SCREEN_PX
    for cause, shown in zip(summary["causes"], found["causes"], strict=True):
        assert shown["scrolled"] == 0, cause
        assert len(shown[".findings"]) == 1, cause
        assert shown[".code"], cause
        assert max(shown[".findings"] + shown[".code"][:1]) <= SCREEN_PX, cause
    last, top = found["low"]  # a click on a low name shows its cause where the reader looks
    assert last == f"cause-{len(summary['causes'])}"
    assert 0 <= top < LOW_SCREEN_PX
    first, *others = found["on_a_phone"]
    assert first
    assert not any(others)
