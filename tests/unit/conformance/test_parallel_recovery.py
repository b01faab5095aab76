"""`pytest -m recovery` is parallel by itself, and the command line can say otherwise."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lumen_conformance.plugin import parallel
from lumen_conformance.run import number_of_workers
from tests.fixtures.nested_pytest import FOREIGN, NestedPytest

MODULES = {
    "recovery/test_01_kill.py": '''
    """Scenario 1: a kill."""
    @check("1.1-start")
    def test_start():
        """It starts."""
    ''',
    "recovery/test_02_conflict.py": '''
    """Scenario 2: a conflict."""
    @check("2.1-busy")
    def test_busy():
        """It is busy."""
    ''',
}
WORKERS = f"{number_of_workers()} workers [2 items]"
BROUGHT_UP = "bringing up nodes"
SERIAL = {
    "no-workers": ("-n0",),
    "no-plugin": ("-p", "no:xdist"),
    "output": ("-s",),
    "keyword": ("-k", "start or busy"),
    "one-check": ("--only", "1.1-start"),
    "file": ("tests/recovery/test_01_kill.py",),
    "foreign": (FOREIGN,),
    "collection": ("--collect-only",),
}


def test_all_scenarios_are_parallel(nested: NestedPytest) -> None:
    """Without further options the scenarios run in two workers for each core."""
    nested.write(MODULES)
    ended = nested.run("-m", "recovery")
    assert ended.status == 0, ended.output
    assert WORKERS in ended.output
    assert sorted(ended.rows) == ["1.1-start", "2.1-busy"]


@pytest.mark.parametrize(
    ("number", "options"), [(2, ("-n2",)), (3, ("-n3", "--dist", "load")), (1, ("--maxprocesses=1",))]
)
def test_the_command_line_chooses(nested: NestedPytest, number: int, options: tuple[str, ...]) -> None:
    """The number of workers and the distribution of the command line win."""
    nested.write(MODULES)
    assert f"{number} worker{'s' * (number > 1)} [2 items]" in nested.run("-m", "recovery", *options).output


@pytest.mark.parametrize("options", SERIAL.values(), ids=SERIAL)
def test_one_process(nested: NestedPytest, options: tuple[str, ...]) -> None:
    """What needs one process, or selects less than all scenarios, or judges another server, has one process."""
    nested.write(MODULES)
    ended = nested.run("-m", "recovery", *options)
    assert BROUGHT_UP not in ended.output
    assert ended.status in {0, 1}, ended.output  # nothing launches the foreign server


def test_another_selection_has_one_process(nested: NestedPytest) -> None:
    """Another selection is not parallel by itself."""
    nested.write(MODULES)
    assert BROUGHT_UP not in nested.run("-m", "smoke").output


def test_the_longest_file_is_first() -> None:
    """The files are sorted by their recorded durations, and the tests of a file keep their order."""
    names = ("test_02_port_conflict.py", "test_05_kill_under_load.py", "test_02_port_conflict.py")
    items = [SimpleNamespace(path=Path("recovery", name), number=number) for number, name in enumerate(names)]
    config = SimpleNamespace(option=SimpleNamespace(lumen_longest_first=True))
    parallel.order(cast("pytest.Config", config), cast("Any", items))
    assert [item.number for item in items] == [1, 0, 2]
