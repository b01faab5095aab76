"""Which tests a selection holds, and that a run says what was selected."""

from __future__ import annotations

import pytest

from lumen_conformance.report.selection import SEVENTEEN, name_of, smoke_is_asked_for
from tests.fixtures.nested_pytest import Inner

MODULES = {
    "recovery/test_01_kill.py": '''
    """Scenario 1: a kill."""
    @check("1.1-start")
    def test_start():
        """It starts."""
    @check("1.5-again")
    @pytest.mark.parametrize("how", ["mild", "harsh"])
    def test_again(how):
        """It answers again."""
    @check("1.5.detail")
    def test_detail():
        """It is a detail of 1.5."""
    @check("1.6-beyond")
    def test_beyond():
        """It is beyond the seventeen."""
    ''',
    "recovery/test_12_gateway.py": '''
    """Scenario 12: the gateway is gone."""
    @check("12.1-refused")
    def test_refused():
        """It is refused."""
    ''',
    "contract/test_errors.py": '''
    """Errors."""
    @check("F1-envelope", marks=(pytest.mark.smoke,))
    def test_envelope():
        """It has one envelope."""
    ''',
    "unit/test_parts.py": '''
    """Parts."""
    def test_part(request):
        """It shows the marks of all."""
        print()
        for item in request.session.items:
            marks = [mark for mark in item.iter_markers() if mark.name not in {"parametrize", "check"}]
            print(item.name + ":", *sorted("=".join([mark.name, *map(str, mark.kwargs.values())]) for mark in marks))
    ''',
    "matrix/test_faults.py": '''
    """Faults."""
    def test_fault():
        """It is caught."""
    ''',
}
MARKS = {
    "test_start[1.1-start]": "recovery scenario=1 seventeen smoke",
    "test_again[1.5-again-mild]": "recovery scenario=1 seventeen smoke",
    "test_again[1.5-again-harsh]": "recovery scenario=1 seventeen smoke",
    "test_detail[1.5.detail]": "recovery scenario=1 smoke",
    "test_beyond[1.6-beyond]": "recovery scenario=1",
    "test_refused[12.1-refused]": "recovery scenario=12",
    "test_envelope[F1-envelope]": "contract smoke",
    "test_part": "unit",
    "test_fault": "matrix",
}


def test_marks_come_from_where_a_test_lives(inner: Inner) -> None:
    """Folder, module and check id give a test its marks; only smoke is ever written by hand."""
    inner.write(MODULES)
    shown = inner.run("-s", "-q").output
    lines = (line.partition(": ") for line in shown.splitlines() if line.startswith("test_"))
    assert {name: marks for name, _, marks in lines} == MARKS


def test_one_scenario_is_selected(inner: Inner) -> None:
    """A scenario is selected by its number."""
    inner.write(MODULES)
    ended = inner.run("-m", "scenario(n=12)", "-n2")
    assert list(ended.rows) == ["12.1-refused"]
    assert "selection: scenario 12 (-m 'scenario(n=12)')\n" in ended.output


def test_the_seventeen_are_seventeen() -> None:
    """The four scenarios have 5, 4, 4 and 4 checks."""
    assert sorted(SEVENTEEN) == [
        "1.1",
        "1.2",
        "1.3",
        "1.4",
        "1.5",
        *(f"{n}.{m}" for n in (2, 3, 4) for m in (1, 2, 3, 4)),
    ]


def test_ci_selects_smoke(inner: Inner) -> None:
    """CI_SMOKE_MODE selects smoke, and the header and the page say so."""
    inner.write(MODULES)
    ended = inner.run(CI_SMOKE_MODE="1")
    assert "selection: smoke (CI_SMOKE_MODE, no -m given)" in ended.output
    assert "selected: 5 tests, 5 of them numbered checks (smoke)" in ended.output
    assert sorted(ended.rows) == ["1.1-start", "1.5-again", "1.5.detail", "F1-envelope"]
    assert "smoke (CI_SMOKE_MODE, no -m given)" in ended.html


@pytest.mark.parametrize("value", ["1", "true", " True "])
def test_ci_may_say_it_in_two_words(value: str) -> None:
    """Both spellings that CI systems use are understood."""
    assert smoke_is_asked_for({"CI_SMOKE_MODE": value})


@pytest.mark.parametrize(
    ("value", "arguments", "said"),
    [
        ("1", ["-m", "unit"], "selection: unit (-m 'unit')"),
        ("false", ["-k", "part"], "selection: all (no -m given, -k 'part')"),
        ("", ["tests/unit"], "selection: all (no -m given, only the tests named on the command line)"),
    ],
)
def test_the_header_says_what_is_selected(inner: Inner, value: str, arguments: list[str], said: str) -> None:
    """The command line wins over CI_SMOKE_MODE; parallel runs say it too."""
    inner.write(MODULES)
    assert f"{said}\n" in inner.run(*arguments, CI_SMOKE_MODE=value).output


def test_an_unclear_smoke_mode_is_refused(inner: Inner) -> None:
    """A value that is neither yes nor no is not guessed at."""
    inner.write(MODULES)
    ended = inner.run(CI_SMOKE_MODE="yes")
    assert ended.status == pytest.ExitCode.USAGE_ERROR
    assert "CI_SMOKE_MODE='yes' is none of 1, true, 0, false" in ended.output


@pytest.mark.parametrize(
    ("expression", "name"),
    [("", "all"), ("smoke", "smoke"), (" scenario(n=3) ", "scenario 3"), ("smoke and not unit", "smoke and not unit")],
)
def test_a_selection_has_a_name(expression: str, name: str) -> None:
    """The words of the suite stand for the expressions of pytest."""
    assert name_of(expression) == name


BROKEN = {**MODULES, "unit/test_broken.py": 'raise RuntimeError("imported")'}


@pytest.mark.parametrize(
    ("expression", "looks_there"), [("recovery", False), ("smoke or contract", False), ("unit", True)]
)
def test_a_selection_imports_its_own_folders(inner: Inner, expression: str, *, looks_there: bool) -> None:
    """A selection that lives in some folders leaves the others alone."""
    inner.write(BROKEN)
    assert ("RuntimeError: imported" in inner.run("-m", expression).output) is looks_there


def test_smoke_elsewhere_is_refused(inner: Inner) -> None:
    """A smoke test that -m smoke would never see cannot be collected."""
    quick = 'import pytest\n@pytest.mark.smoke\ndef test_quick():\n    "It is quick."\n'
    inner.write({"unit/test_quick.py": quick})
    ended = inner.run()
    assert ended.status != pytest.ExitCode.OK
    assert "-m smoke looks into contract and recovery only" in ended.output
