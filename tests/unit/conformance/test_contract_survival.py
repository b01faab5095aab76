"""A server that ends in the middle of a run: one failure of tier M names the check, and the others are judged."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lumen_conformance.http.client import call
from lumen_conformance.ports import reserved_port
from lumen_conformance.run import Run as OfSuite
from lumen_conformance.waiting import until
from tests.fixtures.suite_subprocess import FORWARDER, SuiteRun, forwarder
from tests.fixtures.suite_subprocess import run as judged

MANNERS = ("tests/contract/test_h_manners.py",)
CHOSEN = ("-k", "H1.head-models or H2.id-models or H2.id-plain or H3.list or H3.each or H3.usable")


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> SuiteRun:
    """A server that HEAD ends, which a check of tier S asks."""
    folder = tmp_path_factory.mktemp("ended")
    return judged(folder, f"--proxy-command={forwarder('dies-of-head')}", "--proxy-can=models", *CHOSEN, tests=MANNERS)


def test_the_end_is_one_failure_of_clients(ended: SuiteRun) -> None:
    """The check that ended the server fails as tier M, though it is about something that is only reported."""
    assert (ended.status, ended.ids("failed", "error")) == (1, {"H1.head-models"}), ended.output
    (verdict,) = (each for each in ended.verdicts if each["outcome"] == "failed")
    assert (verdict["tier"], verdict["expected"]) == ("M", "a server that runs until it is stopped")
    assert verdict["found"].startswith("the server ended by itself, with exit status 3")
    assert verdict["at"] == "end of its log: assertion failed: no HEAD"
    assert verdict["cause"] == "server-ends"


def test_the_others_are_judged(ended: SuiteRun) -> None:
    """The checks behind it are asked of a new launch."""
    assert ended.ids("passed") >= {"H2.id-models", "H2.id-plain", "H3.list", "H3.each", "H3.usable"}
    assert ended.ids("not_judged", "warned") == set()


def test_by_url_the_others_are_not_judged(run: OfSuite, tmp_path: Path) -> None:
    """A server that runs elsewhere is launched by nobody: the others are not judged, and name the check."""
    with reserved_port(run.worker) as port:
        command = [sys.executable, str(FORWARDER), "127.0.0.1", str(port), "http://127.0.0.1:1", "dies-of-head"]
        with subprocess.Popen(command) as server:
            url = f"http://127.0.0.1:{port}"
            until("it is ready", lambda: call(url, "GET", "/health").status == 200, within_s=30)
            chosen = (f"--proxy-url={url}", "--proxy-model=m", "--proxy-can=models", *CHOSEN)
            seen = judged(tmp_path, *chosen, tests=MANNERS)
            assert server.wait() == 3
    assert (seen.status, seen.ids("failed", "error")) == (1, {"H1.head-models"}), seen.output
    assert seen.ids("not_judged") >= {"H3.list", "H3.each", "H3.usable"}
    assert {tuple(each["because_of"]) for each in seen.verdicts if each["id"].startswith("H3")} == {("H1.head-models",)}
