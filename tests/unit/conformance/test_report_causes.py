"""Failures are grouped by their cause; the summary, the terminal and the page show the causes, the largest first."""

from __future__ import annotations

import html
import re

import pytest

from lumen_conformance.registry.refutation import Failure
from lumen_conformance.report.causes import causes_of, without_differences
from lumen_conformance.report.markup import first_evidence
from lumen_conformance.report.page_data import catalogue
from lumen_conformance.report.rendering import make_example
from tests.fixtures.nested_pytest import NestedRun, stage_foreign
from tests.unit.conformance.report_results import entry_of, result_of

MODULES = {
    "contract/test_errors.py": '''
    """Errors: of one cause and of others."""
    from lumen_conformance.registry import NotJudged, Refuted, expect
    from lumen_conformance.registry.refutation import Failure
    ROWS = {f"F2-row-{n}": n for n in range(15)}
    @check_each("n", ROWS)
    def test_bad_request(n):
        """A bad request is refused."""
        expect(n >= 7, "a 4xx", f"status {500 if n > 4 else 200}, {n * 100} bytes, '한국어 {n}'")
    @check_each("size", {"C9.1": 417, "C9.2": 9})
    def test_size(size):
        """A body is as long as it says."""
        expect(False, "another length", f"{size} bytes after {size}.25 s from 127.0.0.1:{size}")
    @check_each("word", {"C4.8-a": "one", "C4.8-b": "two"})
    def test_signature(word):
        """A word is right."""
        raise Refuted(Failure("right", word, signature="the wrong word"))
    @check("E1.1", tier="S")
    def test_strict():
        """A stream is strict."""
        expect(False, "strict", "lax")
    @check("B2-html", tier="S")
    @pytest.mark.parametrize("row", ["chat", "stream"])
    def test_error_of_tier_s(row):
        """An error is JSON."""
        expect(False, "JSON", "text/html")
    @check("B3-html")
    def test_error_of_tier_m():
        """An error is read."""
        expect(False, "JSON", "text/html")
    @check("A1", tier="W")
    def test_advice():
        """It would be nice."""
        expect(False, "nice", "not nice")
    @check_each("n", {"C5.2": 2, "C5.3": 3})
    def test_not_judged(n):
        """The total is the sum."""
        raise NotJudged("no answer", ("C9.1",))
    ''',
}


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> NestedRun:
    """Run the checks once, on a console with little more than ASCII."""
    console = {"PYTHONIOENCODING": "cp949", "PYTHONUTF8": "0"}
    return stage_foreign(tmp_path_factory.mktemp("causes"), MODULES, **console)


def test_causes_of_the_summary(ended: NestedRun) -> None:
    """Each cause has its checks and those not judged because of it; what failed and what it blocks make the order."""
    shown = [(each["name"], len(each["checks"]), each["not_judged"]) for each in ended.summary["causes"]]
    assert shown == [
        ("bad-requests-answered", 5, []),
        ("C9.1: N bytes after N s from HOST", 1, ["C5.2", "C5.3"]),
        ("C4.8: the wrong word", 2, []),
        ("bad-requests-crash", 2, []),
        ("errors-are-web-pages", 3, []),
        ("C9.2: N bytes after N s from HOST", 1, []),
        ("E1.1: lax", 1, []),
    ]


def test_causes_of_the_terminal(ended: NestedRun) -> None:
    """The terminal shows the same causes, with the first checks and the number of the others."""
    assert "12 failed, 4 warned (3 of tier S), 2 not judged; 7 causes, first those that fail the run:\n" in ended.output
    assert "   5  bad requests are answered with 200 (5 failed)\n      F2-row-0, F2-row-1" in ended.output
    assert (
        "   3  errors are web pages, not JSON (1 failed, 2 warned)\n      B3-html, B2-html-chat, B2-html-str"
        in ended.output
    )
    title = "C9.1: expected another length; found 417 bytes after 417.25 s from 127.0.0.1:417"
    assert f"   1  {title} (1 failed, blocks 2)\n      C9.1\n" in ended.output
    assert "   2  expected right; found one (2 failed)\n      C4.8-a, C4.8-b\n" in ended.output  # of two checks
    assert "   1  E1.1: expected strict; found lax (1 warned)\n" in ended.output


def test_the_last_sentence_has_the_numbers_of_the_causes(ended: NestedRun) -> None:
    """The last sentence, the causes and the last line of pytest have the same numbers."""
    assert "8 passed, 12 failed, 2 not judged, 4 warned (3 of tier S)." in ended.html
    assert re.search("12 failed, .*4 warned", ended.output.splitlines()[-1])


def test_causes_of_the_page(ended: NestedRun) -> None:
    """The page names the causes first, then shows each with its first failure and its checks, above the checks."""
    section = ended.html[ended.html.index('class="causes') : ended.html.index('id="checks"')]
    names = re.findall(r'<a href="#cause-(\d+)">([^<]*)</a>', section)
    assert [number for number, _ in names] == [str(number) for number in range(1, 8)]
    assert names[0][1] == "bad requests are answered with 200"
    sizes = ['<span class="t" lang="en">1 failed</span>', '<span class="t" lang="en">blocks 2</span>']
    assert [each in section.split("</li>")[1] for each in sizes] == [True, True]
    first = section[section.index('id="cause-1"') : section.index('id="cause-2"')]
    assert "<dd>F2-row-0: " in first
    assert '<a href="#F2-row-1">F2-row-1</a>' in first


def test_an_example_says_which_client_breaks(ended: NestedRun) -> None:
    """A cause has the first client that breaks without its first check, or what is harmed, and only the text."""
    known = catalogue()["E1.1"]["evidence"]
    assert known.startswith("client: error-amid-the-words: openai ")
    shown = html.unescape(ended.html[ended.html.index('id="cause-7"') : ended.html.index('id="checks"')])
    assert f"<dd>{known.removeprefix('client: error-amid-the-words: ').partition(';')[0]}</dd>" in shown


@pytest.mark.parametrize(
    ("evidence", "first"),
    [
        ("recorded: HuggingChat raises (a/b#1); EvalScope loses usage (c/d#2)", "HuggingChat raises (a/b#1)"),
        (
            "client: a-fault: openai 2.5 raises KeyError: 'x', and 1 more; b: c",
            "openai 2.5 raises KeyError: 'x', and 1 more",
        ),
        ("harm: lost: a paid answer is discarded", "harm: lost: a paid answer is discarded"),
        ("", ""),
    ],
)
def test_the_first_of_the_affected_clients(evidence: str, first: str) -> None:
    """Neither the kind of the evidence nor the name of a fault says anything to a reader of a cause."""
    assert first_evidence(evidence) == first


def test_layers(ended: NestedRun) -> None:
    """A run against a foreign target has two layers, and its exit status is that of clients."""
    assert ended.summary["layers"] == {"clients": "FAILED", "strict": "FAILED"}
    assert "clients  (M: what clients need): FAILED\n" in ended.output
    assert "strict   (M and S: what OpenAI does): FAILED\n" in ended.output
    assert re.search(r"<span>clients: <b>(<[^>]*>)?FAILED<.*what clients need", ended.html)


def test_the_place_of_a_failure_is_marked() -> None:
    """In the exchange of a cause, what begins at the byte of the failure is apart, to the end of its line."""
    record = {
        "request": ["GET / HTTP/1.1"], "request_body": "", "response": ["HTTP/1.1 200 OK"],
        "body": "데이터: 1\ntwo\nthree",
        "cut": [], "status": 200, "ended": "complete", "error": "", "url": "http://h/",
    }  # fmt: skip
    shown = make_example([], "", "curl http://127.0.0.1:4711/v1", record, at="$.id, byte 13")
    assert shown.exchange["marked"] == "two"
    assert shown.exchange["after"] == "\nthree"
    assert shown.exchange["before"].endswith("데이터: 1\n")
    assert make_example([], "", "", record, at="line 3").exchange["marked"] == ""
    assert shown.port == "4711"


@pytest.mark.parametrize(
    ("expected", "found", "title"),
    [
        ("a call", "none", "F2: expected a call; found none"),
        ("x " * 40, "a\n b", f"F2: expected {'x ' * 29}x…; found a b"),
        ("x", f"{'y' * 50} zzzzzzzzzzzz", f"F2: expected x; found {'y' * 50}…"),
        ("x" * 70, "y", f"F2: expected {'x' * 60}…; found y"),
        ("x", f"{'y' * 59}, z", f"F2: expected x; found {'y' * 59}…"),
    ],
)
def test_titles_are_short(expected: str, found: str, title: str) -> None:
    """A title is the check, what was expected and what was found, each cut at a word."""
    failed = result_of(entry_of("F2"), "failed", failure=Failure(expected, found))
    assert causes_of([failed])[0].sentence == title


def test_a_cause_that_blocks_others_is_first() -> None:
    """Failures and blocked checks add up, but what fails the run comes first."""
    made = {f"C{n}": Failure("x", f"y {'z' * n}") for n in (1, 2)}
    failed = [result_of(entry_of(check), "failed", failure=failure) for check, failure in made.items()]
    warned = [result_of(entry_of("E1", tier="S"), "warned", failure=Failure("x", "y"))]
    blocked = {"C1": 1, "C2": 3, "E1": 9}
    unjudged = [
        result_of(entry_of(f"F{cause}{n}"), "not_judged", explained_by=(cause,))
        for cause, number in blocked.items()
        for n in range(number)
    ]
    found = causes_of([*warned, *failed, *unjudged])
    assert [each.checks for each in found] == [("C2",), ("C1",), ("E1",)]
    assert [each.size for each in found] == ["1 failed, blocks 3", "1 failed, blocks 1", "1 warned, blocks 9"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("status 200, 417 bytes", "status 200, 98 bytes"),
        ("'abc' at 12", "'x \\' y' at 7"),
        ('{"id": "a"} after 0.25 s', '{"id": [2]} after 11.5 s'),
        ("connection to 127.0.0.1:4711", "connection to 127.0.0.1:80"),
        ("id chatcmpl-1234abcd", "id chatcmpl-xyz"),
        ("17", "28; $.usage 4"),
    ],
)
def test_variable_parts_are_not_in_the_signature(one: str, other: str) -> None:
    """Failures that differ only in sizes, times, ports, ids or quotations have the same cause."""
    assert without_differences(one) == without_differences(other)


@pytest.mark.parametrize(("one", "other"), [("status 200", "status 500"), ("no header", "no body")])
def test_other_parts_are_in_the_signature(one: str, other: str) -> None:
    """Failures that differ in a status or in words have different causes."""
    assert without_differences(one) != without_differences(other)
