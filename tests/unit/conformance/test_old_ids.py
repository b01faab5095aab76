"""Ids in their old form are accepted for one release, with one warning."""

from __future__ import annotations

from pathlib import Path

import pytest

from lumen_conformance.cli.list_checks import read
from lumen_conformance.registry.old_ids import RENUMBERED, translate
from tests.fixtures.nested_pytest import stage

MODULES = {
    "contract/test_one.py": '''
        """One."""
        @check_each("row", {"F2-body-null": 1, "F2-body-list": 2})
        def test_row(row):
            """Holds."""
    ''',
}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("F2.messages-null.param", "F2-messages-null-param"),
        ("10.3.ctrl-c-group", "10.3-ctrl-c-group"),
        ("1.4.generation", "1.4.1-generation"),
        ("H5.declared-host-plain", "H5-declared-host-plain"),
        ("E2.1-stream", "E2.1-stream"),
        ("B1.1", "B1.1"),
    ],
)
def test_old_ids_are_translated(old: str, new: str) -> None:
    """A dot before words is a dash; present ids stay."""
    assert translate(old) == new


def test_renumbered_ids_exist() -> None:
    """Each new id of the table is that of a check, and each check keeps its id."""
    ids = {each["id"] for each in read()}
    assert set(RENUMBERED.values()) <= ids
    assert {each for each in ids if translate(each) != each} == set()


def test_one_warning_for_all_old_ids(tmp_path: Path) -> None:
    """Old ids select the same checks, and one line names the first of them."""
    ended = stage(tmp_path, MODULES, "--only=F2.body-null", "--only=F2.body-list", "--skip=F2.body-list")
    assert list(ended.rows) == ["F2-body-null"]
    (warning,) = [line for line in ended.output.splitlines() if line.startswith("warning: ")]
    assert warning.startswith("warning: F2.body-null and 1 more: check ids in their old form")
    assert " 1 deselected" in ended.output


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_an_unknown_old_id_is_refused(tmp_path: Path, workers: str) -> None:
    """An old id that no check has is a usage error with its present form, and no test runs."""
    ended = stage(tmp_path, MODULES, workers, "--only=F2.body-null", "--skip=F2.no-such", "--junit-xml=junit.xml")
    assert (ended.status, "no check has the id F2-no-such" in ended.output) == (4, True), ended.output
    assert " passed" not in ended.output.splitlines()[-1]
