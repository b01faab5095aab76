"""Selections: their tests, and the line that describes them."""

from __future__ import annotations

import pytest

from lumen_conformance.report.selection import SEVENTEEN, name_of, smoke_is_asked_for
from tests.fixtures.nested_pytest import NestedPytest

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
    @check("1.5.1-detail")
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
    "mutants/test_mutants.py": '''
    """Mutants."""
    def test_mutant():
        """It is caught."""
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
    "test_detail[1.5.1-detail]": "recovery scenario=1 smoke",
    "test_beyond[1.6-beyond]": "recovery scenario=1",
    "test_refused[12.1-refused]": "recovery scenario=12",
    "test_envelope[F1-envelope]": "contract smoke",
    "test_part": "unit",
    "test_fault": "matrix",
    "test_mutant": "mutants",
}


def test_marks_come_from_folder_module_and_id(nested: NestedPytest) -> None:
    """Folder, module and check id determine the marks of a test; only smoke is set by hand."""
    nested.write(MODULES)
    shown = nested.run("-s", "-q").output
    lines = (line.partition(": ") for line in shown.splitlines() if line.startswith("test_"))
    assert {name: marks for name, _, marks in lines} == MARKS


def test_one_scenario_is_selected(nested: NestedPytest) -> None:
    """A scenario is selected by its number."""
    nested.write(MODULES)
    ended = nested.run("-m", "scenario(n=12)", "-n2")
    assert list(ended.rows) == ["12.1-refused"]
    assert "selection: scenario 12 (-m 'scenario(n=12)')\n" in ended.output


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_an_old_marker_is_renamed(nested: NestedPytest, workers: str) -> None:
    """An old name of a marker selects the tests of the new one, and the header says that it is deprecated."""
    nested.write(MODULES)
    ended = nested.run("-m", "twins", workers)
    assert "selection: mutants\ndeprecated: -m twins is now -m mutants; " in ended.output
    assert "1 passed" in ended.output


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


def test_ci_selects_smoke(nested: NestedPytest) -> None:
    """CI_SMOKE_MODE selects smoke; the header and the page show it."""
    nested.write(MODULES)
    ended = nested.run(CI_SMOKE_MODE="1")
    assert "selection: smoke (CI_SMOKE_MODE, no -m given)" in ended.output
    assert "selected: 5 tests, 5 of them numbered checks (smoke)" in ended.output
    assert sorted(ended.rows) == ["1.1-start", "1.5-again-harsh", "1.5-again-mild", "1.5.1-detail", "F1-envelope"]
    assert "smoke (CI_SMOKE_MODE, no -m given)" in ended.html


@pytest.mark.parametrize("value", ["1", "true", " True "])
def test_both_spellings_of_true_select_smoke(value: str) -> None:
    """Both spellings that CI systems use select smoke."""
    assert smoke_is_asked_for({"CI_SMOKE_MODE": value})


@pytest.mark.parametrize(
    ("value", "arguments", "line"),
    [
        ("1", ["-m", "unit"], "selection: unit"),
        ("false", ["-k", "part"], "selection: all (no -m given, -k 'part')"),
        ("", ["tests/unit"], "selection: all (no -m given, only the tests named on the command line)"),
        ("", ["--progress", "-m", "unit", "tests/unit"], "selection: unit"),
    ],
)
def test_the_header_shows_the_selection(nested: NestedPytest, value: str, arguments: list[str], line: str) -> None:
    """The command line overrides CI_SMOKE_MODE; parallel runs show the selection too."""
    nested.write(MODULES)
    assert f"{line}\n" in nested.run(*arguments, CI_SMOKE_MODE=value).output


def test_an_invalid_smoke_mode_is_refused(nested: NestedPytest) -> None:
    """A value other than 1, true, 0 and false is an error."""
    nested.write(MODULES)
    ended = nested.run(CI_SMOKE_MODE="yes")
    assert ended.status == pytest.ExitCode.USAGE_ERROR
    assert "CI_SMOKE_MODE='yes' is none of 1, true, 0, false" in ended.output


@pytest.mark.parametrize(
    ("expression", "name"),
    [("", "all"), ("smoke", "smoke"), (" scenario(n=3) ", "scenario 3"), ("smoke and not unit", "smoke and not unit")],
)
def test_a_selection_has_a_name(expression: str, name: str) -> None:
    """A selection is described by a name instead of its expression."""
    assert name_of(expression) == name


BROKEN = {**MODULES, "unit/test_broken.py": 'raise RuntimeError("imported")'}


@pytest.mark.parametrize(
    ("expression", "looks_there"), [("recovery", False), ("smoke or contract", False), ("unit", True)]
)
def test_a_selection_imports_its_own_folders(nested: NestedPytest, expression: str, *, looks_there: bool) -> None:
    """A selection imports only the folders that can contain its tests."""
    nested.write(BROKEN)
    assert ("RuntimeError: imported" in nested.run("-m", expression).output) is looks_there


def test_smoke_elsewhere_is_refused(nested: NestedPytest) -> None:
    """A smoke test outside the folders of -m smoke cannot be collected."""
    quick = 'import pytest\n@pytest.mark.smoke\ndef test_quick():\n    "It is quick."\n'
    nested.write({"unit/test_quick.py": quick})
    ended = nested.run()
    assert ended.status != pytest.ExitCode.OK
    assert "-m smoke looks into contract and recovery only" in ended.output
