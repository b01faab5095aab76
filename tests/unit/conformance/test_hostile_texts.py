"""Whatever a server writes into any field is harmless and bounded: on the page, in the other files, in the terminal.

Five megabytes, markup, the end of a script, of CDATA and of a comment, colours of a terminal, a change of direction,
NUL, half a surrogate pair, a word without blanks.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.fixtures.nested_pytest import NestedRun, stage
from tests.unit.conformance.recorded_runs import merge
from tests.unit.conformance.test_report_browser import browse, missing

FILES = {
    "--record": "record.jsonl", "--junit-xml": "junit.xml", "--github-summary": "summary.md",
    "--history": "history.jsonl",
}  # fmt: skip
MODULES = {
    "contract/test_ends.py": '''
    r"""Ends <script>document.title = 'owned'</script> ]]></script>."""
    from lumen_conformance.http.capture import Capture
    from lumen_conformance.http.exchange_record import exchange_record
    from lumen_conformance.registry import expect
    from lumen_conformance.registry.measurement import EXCHANGE, record
    BAD = "<script>document.title = 'owned'</script><img src=x onerror=alert(1)>]]></script><!--``"
    BAD += "\\u202e\\x1b[31m\\x00\\ud800"
    BAD += "W" * 3000
    BIG = BAD * 1600
    def exchange(node):
        data = BIG.encode("utf-8", "surrogatepass")
        head = b"POST /v1/" + data[:200] + b" HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n" + data
        response = dict(raw_head=b"HTTP/1.1 200 OK\\r\\nX: " + data[:3000] + b"\\r\\n\\r\\n", status=200,
                        headers=(("content-type", "text/event-stream"),), body=b"data: " + data + b"\\n\\n")
        times = dict(arrivals=((0.1, 10),), elapsed_s=0.4, ended_s=0.3)
        capture = Capture("http://h/" + BAD, head, ended="complete", **response, **times)
        record(node, EXCHANGE, exchange_record(capture))
    @check("C1-fails")
    def test_fails(request, measure):
        """A first check fails <script>alert(1)</script>."""
        measure(0.5, BAD[:50], 2.0, label=BAD)
        exchange(request.node)
        print(BIG)
        expect(False, BIG, BIG, at=BIG)
    @check("C2-asserts")
    def test_asserts():
        """An assertion."""
        assert BIG == "", BIG
    @check("C3-skips")
    def test_skips():
        """It does not apply."""
        pytest.skip(BIG)
    @check("C4-warns", tier="W")
    def test_warns(warn):
        """It warns."""
        warn(BIG)
    @check("C5-raises")
    def test_raises():
        """It ends by an error of many lines."""
        raise RuntimeError(BAD[:200] + "\\n" * 100_000)
    @check("C6-passes")
    def test_passes(request):
        """It passes."""
        print(BIG)
        exchange(request.node)
    @pytest.mark.parametrize("n", [BAD[:300]])
    def test_unnumbered(n):
        """It has no number."""
        pytest.fail(BIG)
    ''',
    "recovery/test_01_kill.py": '''
    """Scenario 1: a worker is killed."""
    import json
    from pathlib import Path
    BAD = "<script>document.title = 'owned'</script><img src=x onerror=alert(1)>]]></script><!--``"
    BAD += "\\u202e\\x1b[31m\\x00\\ud800"
    BAD += "W" * 3000
    @check("1.4-automatic-restart", title="자동 재시작")
    def test_restart(measure, evidence_path):
        """A new worker answers."""
        folder = Path("temporary/recovery.test_01_kill.killed")
        folder.mkdir(exist_ok=True)
        (folder / "record.json").write_text(json.dumps({"stage": "recovery.killed" + BAD, "evidence": None}))
        rows = [("started", {"supervisor_pid": 10}), ("ready", {"pid": 11, "generation": BAD})]
        rows += [(BAD, {"pid": 11, BAD: BAD})]
        lines = [json.dumps({"event": name, "mono": 1, "instance": BAD, **more}) + "\\n" for name, more in rows]
        (folder / "journal.jsonl").write_text("".join(lines))
        (folder / "server.log").write_text(BAD * 1600, "utf-8", "surrogatepass")
        evidence_path(folder)
    ''',
}
# What a page, an editor or a terminal obeys; the terminal's own colours are off.
OBEYED = ("\u202e", "\x1b", "\x00")


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> NestedRun:
    """Run checks whose every field is hostile."""
    folder = tmp_path_factory.mktemp("hostile")
    run = stage(folder, MODULES, *(f"{option}={name}" for option, name in FILES.items()))
    assert run.status == 1, run.output[-2000:]
    return run


@pytest.mark.parametrize(
    ("name", "most_bytes"),
    [
        # Each text has 50,000 characters at most: reports.bounded. A failure has its texts as values and as one text.
        ("record.jsonl", 2_000_000),
        ("junit.xml", 1_000_000),
        ("verdicts.jsonl", 600_000),
        ("summary.json", 400_000),
        # An expected or found value has 2,000 characters, the output of a test 20,000, a log 32,000.
        ("reports/report.html", 500_000),
        ("summary.md", 50_000),
        ("history.jsonl", 5_000),
    ],
)
def test_each_file_is_bounded_and_harmless(ended: NestedRun, name: str, most_bytes: int) -> None:
    """Five megabytes in each of twelve places are no large file; no character is left that a reader obeys."""
    text = (ended.folder / name).read_text("utf-8")
    assert len(text.encode()) < most_bytes
    assert [each for each in OBEYED if each in text] == []


def test_each_file_can_be_read(ended: NestedRun) -> None:
    """The record, the verdicts and the history are lines of JSON, JUnit is XML, and the page has its data."""
    for name in ("record.jsonl", "verdicts.jsonl", "history.jsonl"):
        assert [json.loads(line) for line in (ended.folder / name).read_text("utf-8").split("\n") if line]
    assert len(list(ET.parse(ended.folder / "junit.xml").iter("testcase"))) == 8  # noqa: S314 -- our own file
    assert len(ended.checks) == 8


def test_the_terminal_is_bounded_and_harmless(ended: NestedRun) -> None:
    """What the run prints is short, and has no sequence that a terminal or GitHub obeys."""
    assert len(ended.output) < 1_000_000
    assert [each for each in OBEYED if each in ended.output] == []


def test_the_record_makes_the_same_report(ended: NestedRun, tmp_path: Path) -> None:
    """The report of the record is as harmless."""
    again = merge(tmp_path / "merged", ended.folder / "record.jsonl")
    assert again.counts == ended.counts
    assert [each for each in OBEYED if each in again.html] == []


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_the_page_in_a_browser(ended: NestedRun) -> None:
    """With everything open, no script has run, the console has no error, and a phone needs no sideways scrolling."""
    found: dict[str, Any] = browse("hostile", ended.folder / "reports" / "report.html")
    assert found["errors"] == []
    assert found["title"].startswith("FAILED: ")
    assert found["rows"] == 8
    assert {int(width): needed for width, needed in found["wide"].items() if needed > int(width)} == {}
