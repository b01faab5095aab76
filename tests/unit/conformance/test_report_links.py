"""The address of a report, and what is filtered by it, in headless Chromium."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.contract.clients.versions import PYTHON
from tests.fixtures.nested_pytest import stage
from tests.fixtures.repository import ROOT
from tests.unit.proxy.test_browser import BROWSER_S, missing_browser

SCRIPT = ROOT / "tests" / "fixtures" / "report_links.py"
MODULES = {
    "recovery/test_01_waits.py": '''
    """Scenario 1: a check that waits."""
    from lumen_conformance.registry import NotJudged
    @check("1.4-waits")
    def test_waits():
        """It waits."""
        raise NotJudged("no answer", ("C1-fails",))
    ''',
    "contract/test_ends.py": '''
    """Ends: checks that fail and pass."""
    from lumen_conformance.registry import expect
    @check_each("n", {"C1-fails": 1, "C1-also": 2})
    def test_fails(n):
        """It fails."""
        expect(False, "one", "another")
    @check("C2-fails")
    def test_other():
        """It fails, too."""
        expect(False, "two", "three things")
    @check("C5.1")
    def test_usage():
        """The usage has counts."""
    ''',
}

pytestmark = pytest.mark.skipif(missing_browser() is not None, reason=str(missing_browser()))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a reviewer sees, who does everything once."""
    ended = stage(tmp_path_factory.mktemp("links"), MODULES)
    assert ended.status == 1, ended.output
    results = ended.folder / "found.json"
    command = [str(PYTHON), str(SCRIPT), str(Path(ended.folder) / "reports" / "report.html"), str(results)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=BROWSER_S, check=False)
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(results.read_text("utf-8"))
    return seen


def test_failures_are_what_fails_the_run(found: dict[str, Any]) -> None:
    """The key f shows them without the checks that wait for them; its address has words of the page only."""
    assert found["failures"]["rows"] == ["C1-fails", "C1-also", "C2-fails"]
    assert found["failures"]["address"] == "#?outcome=failed"


def test_the_first_key_goes_to_a_failure(found: dict[str, Any]) -> None:
    """The key j goes to the first failure, although a check that waits stands above it."""
    assert found["first"]["rows"][0] == "1.4-waits"
    assert found["first"]["focused"] == "C1-fails"


def test_the_address_has_the_open_check(found: dict[str, Any]) -> None:
    """A check that is opened is in the address, beside the filter: a copy of it shows the same."""
    assert found["opened"]["address"] == "#C1-fails?outcome=failed"
    assert found["copied"]["open"] == ["C1-fails"]
    assert found["copied"]["rows"] == found["opened"]["rows"]
    assert (found["closed"]["open"], found["closed"]["address"]) == ([], "#?outcome=failed")


def test_clients_are_searched(found: dict[str, Any]) -> None:
    """The search finds the checks without which a client breaks."""
    assert found["client"]["rows"] == ["C5.1"]


def test_a_cause_has_what_waits_for_it(found: dict[str, Any]) -> None:
    """The filter by cause shows its failures, and the checks that were not judged because of it."""
    assert found["filtered_by_cause"]["rows"] == ["1.4-waits", "C1-fails", "C1-also"]


def test_back_goes_through_the_causes(found: dict[str, Any]) -> None:
    """Back shows the cause before, and leaves the page only after the first."""
    shown = [each.get("cause") for each in found["causes"]]
    assert shown == ["cause-2", "cause-1", "cause-2", "cause-1", None]


def test_counts_are_links(found: dict[str, Any]) -> None:
    """A number of the banner shows its checks."""
    assert (found["counted"]["rows"], found["counted"]["address"]) == (["1.4-waits"], "#?outcome=not_judged")


def test_back_shows_what_was_before(found: dict[str, Any]) -> None:
    """After a link to a check that the filter hides, Back shows the check that was open, in its filter."""
    assert found["linked"]["open"] == ["C1-fails"]
    first, second = found["back"]
    assert (first["open"], first["rows"]) == (["1.4-waits"], ["1.4-waits"])
    assert (second["address"], second["open"]) == ("", [])
