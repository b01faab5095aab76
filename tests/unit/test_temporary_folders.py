"""Pytest removes the temporary folders of earlier runs, also those that another run removes or fills meanwhile."""

from __future__ import annotations

from tests.fixtures.nested_pytest import NestedPytest

BUSY = '''"""Another process writes into an old folder in the moment in which pytest removes it."""
from pathlib import Path

REMOVE = os.rmdir

def remove_late(path, **options):
    if "garbage-" in str(path):
        Path(path, "late").touch()
    REMOVE(path, **options)

@check("A1-passes")
def test_passes(tmp_path_factory):
    """It passes; the clean-up comes after it."""
    (tmp_path_factory.getbasetemp().parent / "garbage-1").mkdir()
    os.rmdir = remove_late
'''


def test_an_old_folder_that_cannot_be_removed_is_no_failure(nested: NestedPytest) -> None:
    """All tests passed: the status is 0, and the report and the summary are written."""
    nested.write({"test_busy.py": BUSY})
    ended = nested.run()
    assert list(nested.folder.glob("temporary/*/garbage-*/late")), "the removal did not fail"
    assert (ended.status, ended.banner) == (0, ("good", "PASSED")), ended.output
    assert "1 passed" in ended.output
    assert "Traceback" not in ended.output
