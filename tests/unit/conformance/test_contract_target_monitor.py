"""A server that exits during a run gives one failure of tier M, and the other checks are judged."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lumen_conformance.http.client import call
from lumen_conformance.ports import reserved_port
from lumen_conformance.run import Run
from lumen_conformance.waiting import until
from tests.fixtures.suite_subprocess import FORWARDER, SuiteRun, forwarder
from tests.fixtures.suite_subprocess import run as judged

TESTS = ("tests/contract/test_h_connections.py", "tests/contract/test_h_models.py")
CHOSEN = ("-k", "H1-head-models or H2-ten or H2-after-refusals or H3-list or H3-each or H3-usable")


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> SuiteRun:
    """A run against a server that exits after a HEAD request, which a check of tier S sends."""
    folder = tmp_path_factory.mktemp("ended")
    return judged(folder, f"--proxy-command={forwarder('dies-of-head')}", "--proxy-can=models", *CHOSEN, tests=TESTS)


def test_the_end_is_one_failure_of_clients(ended: SuiteRun) -> None:
    """The check during which the server exits fails as tier M, although its own tier is S."""
    assert (ended.status, ended.ids("failed", "error")) == (1, {"H1-head-models"}), ended.output
    (verdict,) = (each for each in ended.verdicts if each["outcome"] == "failed")
    assert (verdict["tier"], verdict["expected"]) == ("M", "a server that runs until it is stopped")
    assert verdict["found"].startswith("the server ended by itself, with exit status 3")
    assert verdict["at"] == "end of its log: assertion failed: no HEAD"
    assert verdict["cause"] == "server-ends"


def test_the_others_are_judged(ended: SuiteRun) -> None:
    """The following checks run against a new launch."""
    assert ended.ids("passed") >= {"H2-ten", "H2-after-refusals", "H3-list", "H3-each", "H3-usable"}
    assert ended.ids("not_judged", "warned") == set()


def test_by_url_the_others_are_not_judged(run: Run, tmp_path: Path) -> None:
    """A server that runs elsewhere is not launched again: the other checks are not judged and name the check."""
    with reserved_port(run.worker) as port:
        command = [sys.executable, str(FORWARDER), "127.0.0.1", str(port), "http://127.0.0.1:1", "dies-of-head"]
        with subprocess.Popen(command) as server:
            url = f"http://127.0.0.1:{port}"
            until("it is ready", lambda: call(url, "GET", "/health").status == 200, within_s=30)
            chosen = (f"--proxy-url={url}", "--proxy-model=m", "--proxy-can=models", *CHOSEN)
            capture = judged(tmp_path, *chosen, tests=TESTS)
            assert server.wait() == 3
    assert (capture.status, capture.ids("failed", "error")) == (1, {"H1-head-models"}), capture.output
    assert capture.ids("not_judged") >= {"H3-list", "H3-each", "H3-usable"}
    assert {tuple(each["because_of"]) for each in capture.verdicts if each["id"].startswith("H3")} == {
        ("H1-head-models",)
    }
