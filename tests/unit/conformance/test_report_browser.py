"""The report in headless Chromium: filters, search, links, keys, both languages, widths, accessibility."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lumen_conformance.report.figures import format_seconds
from tests.contract.clients.versions import HERE, PYTHON
from tests.fixtures.nested_pytest import stage
from tests.fixtures.repository import ROOT
from tests.unit.proxy.test_browser import BROWSER_S, missing_browser

AXE = HERE / "node" / "node_modules" / "axe-core" / "axe.min.js"
SCRIPT = ROOT / "tests" / "fixtures" / "report_browser.py"
HOSTILE = "<script>document.title = 'owned'</script><img src=x onerror=alert(1)>\\u202e"
MODULES = {
    "contract/test_ends.py": f'''
    """Ends: a check of each outcome."""
    import gzip
    from lumen_conformance.http.capture import Capture
    from lumen_conformance.http.exchange_record import exchange_record
    from lumen_conformance.registry import expect
    from lumen_conformance.registry.measurement import EXCHANGE, record
    def exchange(request, body=bytes, *headers):
        head = b"POST /v1/chat/completions HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n{{}}"
        sse = b'data: {{"id": 1}}\\n\\ndata: [DONE]\\n\\n'
        given = dict(status=200, raw_head=b"HTTP/1.1 200 OK\\r\\n\\r\\n", body=body(sse), ended="complete",
                     headers=(("content-type", "text/event-stream"), *headers), arrivals=((0.1, 10), (0.2, len(sse))),
                     elapsed_s=0.4, ended_s=0.3, connected_s=0.05, first_byte_s=0.08)
        record(request.node, EXCHANGE, exchange_record(Capture("http://h/v1", head, **given)))
    @check("C1-fails")
    def test_fails(request):
        """A first check finds `data: [DONE]` and fails."""
        exchange(request)
        expect(False, "a word", "{HOSTILE}", at="byte 7")
    @check("C2-passes")
    def test_passes(request, measure):
        """A second check passes."""
        measure(0.5, "s", 2.0)
        exchange(request, gzip.compress, ("content-encoding", "gzip"))
    @check("C3-skipped")
    def test_skipped():
        """A third check does not apply."""
        pytest.skip("the target does not declare: tools")
    @check("C4-warned", tier="W")
    def test_warned(warn):
        """A fourth check warns."""
        warn("it could be better")
    @check("C6-long")
    def test_long():
        """A sixth check prints much."""
        print("\\n".join(f"line {{n}}" for n in range(100)))
    @check("C7-hidden")
    def test_hidden():
        """A seventh check cannot be judged."""
        from lumen_conformance.registry import NotJudged
        raise NotJudged("nothing came", ("C1-fails",))
    @check_each("n", {{f"C5.{{n}}": n for n in range(20)}})
    def test_many(n):
        """Many checks pass."""
    ''',
    "recovery/test_01_kill.py": '''
    """Scenario 1: `kill` ends a worker."""
    import json
    from pathlib import Path
    from lumen_conformance.registry.measurement import STEPS, record
    @check("1.4-automatic-restart", title="자동 재시작")
    def test_restart(measure, evidence_path, request):
        """A new worker answers."""
        record(request.node, STEPS, [[1.5, 2.1, []]])
        measure(0.4, "s", 3.0, headline=True)
        folder = Path("temporary/recovery.test_01_kill.killed")
        folder.mkdir(exist_ok=True)
        stage = {"stage": "recovery.test_01_kill.killed", "began_mono_s": 0.5, "ended_mono_s": 3.0, "evidence": None}
        (folder / "record.json").write_text(json.dumps(stage))
        rows = [(1.0, "started", {"supervisor_pid": 10}), (1.5, "ready", {"pid": 11, "generation": 1}),
                (2.0, "worker_died", {"pid": 11, "was_serving": True}), (2.2, "ready", {"pid": 12, "generation": 2})]
        lines = [json.dumps({"event": name, "mono": at, "instance": "a", **more}) + "\\n" for at, name, more in rows]
        (folder / "journal.jsonl").write_text("".join(lines))
        evidence_path(folder)
    ''',
}
AUDITS = ("axe_en_light", "axe_en_dark", "axe_ko_light", "axe_ko_dark")
BY_OUTCOME = {"failed": ["C1-fails"], "skipped": ["C3-skipped"]}


def missing() -> str | None:
    """Why the report cannot be opened here, or None."""
    return missing_browser() or (None if AXE.exists() else "axe-core is not set up: make clients")


pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))


def browse(kind: str, page: Path) -> dict[str, Any]:
    """Return what the program for the browser finds in a page."""
    results = page.with_name("found.json")
    command = [str(PYTHON), str(SCRIPT), kind, str(page), str(AXE), str(results)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=BROWSER_S, check=False, cwd=page.parent)
    assert done.returncode == 0, done.stderr
    observed: dict[str, Any] = json.loads(results.read_text("utf-8"))
    return observed


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a reviewer sees, who does everything once."""
    folder = tmp_path_factory.mktemp("report")
    ended = stage(folder, MODULES)
    assert ended.status == 1, ended.output
    shutil.copy(folder / "reports" / "report.html", folder / "report.html")
    return browse("report", folder / "report.html")


def test_nothing_is_executed_or_loaded(found: dict[str, Any]) -> None:
    """No script of a server runs, the page asks for nothing else, and the console has no error."""
    assert found["errors"] == []
    assert found["title"].startswith("FAILED: 23 passed, 1 failed, 1 not judged, 1 warned, 1 not applicable - ")


def test_durations(found: dict[str, Any]) -> None:
    """The script writes a duration as the other parts of the page and the summary for GitHub do."""
    assert found["durations"] == [[each, format_seconds(each)] for each, _ in found["durations"]]
    assert len(found["durations"]) > 10


def test_the_failures_are_open(found: dict[str, Any]) -> None:
    """Checks that did not pass are shown at once; those that passed are folded."""
    assert found["open"] == ["C1-fails", "C7-hidden", "C4-warned"]


def test_filters(found: dict[str, Any]) -> None:
    """A click on an outcome shows its checks only; the link of the page then repeats the filter."""
    assert (found["failed"], found["failed_link"]) == (["C1-fails"], "?outcome=failed")
    assert found["filter_of_a_link"] == ["C3-skipped"]


def test_search(found: dict[str, Any]) -> None:
    """Words are searched in ids, claims and found values; Enter goes to the first check."""
    assert (found["searched"], found["matches"]) == (["C2-passes"], "1 / 27")
    assert found["entered"] == "C2-passes"


def test_a_link_opens_a_check(found: dict[str, Any]) -> None:
    """The id of a folded check as a link opens it, with its figures; its exchange has request, times and events."""
    assert found["linked"] == "C2-passes"
    assert "0.5 s / 2 s (25 %)" in found["linked_text"]
    for text in ("POST /v1/chat/completions", "connect", "receive (2)", "2 events", '{"id": 1}'):
        assert text in found["exchange"]
    assert re.search(r"\n\d+ bytes on the wire, 31 without their content coding\n", found["exchange"])


def test_a_link_to_nothing_says_so(found: dict[str, Any]) -> None:
    """An id that the page does not have is named; the next link removes the notice. A number opens its scenario."""
    assert found["unknown"].startswith("99.9-<b>nothing Nothing on this page has this id")
    assert found["group"] == "group-1"
    assert (found["unknown_before"], found["unknown_after"]) == (False, False)


def test_log_lines_of_a_check(found: dict[str, Any]) -> None:
    """A check of a stage shows the lines that were logged in its steps; all logs of the stage are folded below."""
    assert "ready" not in found["steps"]
    assert '"event": "worker_died"' in found["steps"]
    assert found["steps"].endswith("logs of the whole stage")


def test_a_long_log_shows_its_end(found: dict[str, Any]) -> None:
    """Of a long log the last lines are shown; a button that says how many lines are missing shows all."""
    text, button = found["end_of_a_log"]
    assert (text.startswith("line 6"), text.rstrip().endswith("line 99")) == (True, True)
    assert button == f"{100 + 1 - 40} earlier lines"  # the title of the output is a line, too
    assert len(found["whole_log"].splitlines()) == 100 + 1


def test_keys(found: dict[str, Any]) -> None:
    """The key f shows the failures, j goes to the first, Enter opens it."""
    assert found["failures_by_key"] == ["C1-fails"]
    assert found["next"] == "C1-fails"
    assert "<script>document.title" in found["opened_by_key"]
    assert "\\u202e" in found["opened_by_key"]


def test_keys_of_a_korean_layout(found: dict[str, Any]) -> None:
    """A key is known by its place where the layout has another character; a composition and a select keep theirs."""
    assert found["korean_f"] == ["failed"]
    assert found["composing"] == "en"
    assert found["in_a_select"] == [["failed"], "en"]


def test_keys_can_be_switched_off(found: dict[str, Any]) -> None:
    """Without the switch, keys of one character do nothing, also after the page was loaded again."""
    assert found["switched_off"] == ["en", ""]


def test_a_timeline_is_one_tab_stop(found: dict[str, Any]) -> None:
    """Arrow keys go through it in the order of time; an empty place shows no record."""
    assert (found["empty_place"], found["stops"]) == ("", 1)
    names = [each.partition(": ")[0] for each in found["records"]]
    assert names == [
        "0.000 s, started",
        "0.500 s, ready",
        "1.200 s, ready",
        "1.200 s, ready",
        "1.000 s, worker_died",
        "0.000 s, started",
    ]


def test_one_group_can_be_shown(found: dict[str, Any]) -> None:
    """The filter by group shows one scenario, and the link keeps it."""
    assert found["group_filter"] == [["1.4-automatic-restart"], "?group=1"]
    assert found["group_of_a_link"] == [["1.4-automatic-restart"], "1"]


def test_a_damaged_page_says_so(tmp_path: Path) -> None:
    """A page whose data are wrong or cut, or that is opened by an old browser, has a notice beside its verdict."""
    ended = stage(
        tmp_path, {"contract/test_one.py": '''"""One."""\n@check("B1.1")\ndef test_one():\n    """It."""\n'''}
    )
    seen = browse("damaged", ended.folder / "reports" / "report.html")
    for name in ("wrong", "cut", "old"):
        notice, word = seen[name]
        assert "Copy the file again" in notice, name
        assert word == "PASSED"
    assert seen["errors"] == []


def test_languages(found: dict[str, Any]) -> None:
    """The key l changes to Korean, and the page remembers it."""
    sentence = "통과 23, 실패 1, 판정 불가 1, 경고 1, 해당 없음 1 (대상이 선언하지 않음: tools 1)."
    assert found["korean"] == ["ko", "실패", "원인", sentence, "ID, 검사 내용, 실제 값, 클라이언트"]
    assert found["korean_after_reload"] == "ko"
    assert found["english"] == "FAILED"


def test_backticks_are_code(found: dict[str, Any]) -> None:
    """What is between backticks is set as code: in names of scenarios, claims and causes, in both languages."""
    assert "data: [DONE]" in found["paper"]
    assert "`" not in found["paper"] + found["korean_text"]


def test_print(found: dict[str, Any]) -> None:
    """What failed is printed with cause, evidence and command; the rest is folded, and the page says so."""
    paper = found["paper"]
    for text in (
        "\nexpected\na word",
        "POST /v1/chat/completions HTTP/1.1\nHost: h",
        "2 events",
        "curl ",
        "--only C1-fails",
    ):
        assert text in paper
    assert "all but the end of long logs are left out" in paper
    unread = ("Skip to the checks", "English", "Search", "Show all", "next and previous check", "Copy", "As a table")
    assert [text for text in (*unread, "C2-passes", "C7-hidden") if text in paper] == []
    assert "1 not judged because of it" in paper
    assert "Host: h" in found["printed_by_chromium"]
    assert found["open_after_print"] == 0


def test_korean_is_whole(found: dict[str, Any]) -> None:
    """In Korean only names, values and claims are English: headings, legend, reasons and labels are Korean."""
    english = ("need", "does not declare", "outage", "requests", "supervisor 10", "worker 11")
    assert [text for text in english if text in found["korean_text"]] == []
    for text in ("대상이 선언하지 않음: tools", "슈퍼바이저 10", "워커 11, 1세대", "준비됨", "이벤트\t기록"):
        assert text in found["korean_text"]
    labels = set(found["korean_labels"])
    assert {
        "결과",
        "언어",
        "결과별 보기",
        "범례",
        "1.4: automatic restart 타임라인",
        "요청과 응답의 시간",
        "M: 지키지 않으면 클라이언트가 오작동함",
    } <= labels
    assert {"Result", "Legend", "timeline of 1.4: automatic restart", "M: clients break without it"} <= set(
        found["english_labels"]
    )
    same = labels & set(found["english_labels"])  # the time and the size of a piece of a body
    assert [each for each in same if " " in each and not each.endswith(" B")] == []


def test_widths(found: dict[str, Any]) -> None:
    """From a phone of 320 pixels to a screen of 3840 nothing must be scrolled sideways."""
    assert {int(width): needed for width, needed in found["wide"].items() if needed > int(width)} == {}


def test_accessibility(found: dict[str, Any]) -> None:
    """With everything open, axe finds nothing serious, light and dark, in English and Korean."""
    assert [found[name] for name in AUDITS] == [[]] * len(AUDITS)
