"""A result file that cannot be written at the end of a run fails the run, and the other files are written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fixtures.nested_pytest import FOREIGN, NestedPytest

MODULES = {
    "contract/test_one.py": '''
        """One."""
        import shutil
        @check("A1-first")
        def test_first():
            """It passes, and somebody removes a folder."""
            shutil.rmtree("removed", ignore_errors=True)
    '''
}
DAMAGE = '''
    """Damage."""
    @check("A1-first")
    def test_first():
        """It passes, and somebody damages the baseline."""
        with open("known.txt", "wb") as file:
            file.write(b"\\xff")
'''
FULL = Path("/dev/full")
GOOD = {
    "--html": "reports/report.html",
    "--junit-xml": "junit.xml",
    "--github-summary": "summary.md",
    "--verdicts": "verdicts.jsonl",
    "--summary": "summary.json",
    "--record": "record.jsonl",
    "--write-baseline": "known.txt",
}


@pytest.mark.skipif(not FULL.exists(), reason="there is no device that is always full")
@pytest.mark.parametrize("broken", GOOD)
def test_a_full_disk(nested: NestedPytest, broken: str) -> None:
    """The error is one line with the file and the reason, and all other files have the results."""
    nested.write(MODULES)
    removed = nested.folder / "removed" / "file"
    place = removed if broken == "--write-baseline" else FULL  # a device is an existing file, which has to be known
    files = {**GOOD, broken: str(place)}
    ended = nested.run(FOREIGN, *(f"{option}={path}" for option, path in files.items()))
    assert ended.status == pytest.ExitCode.INTERNAL_ERROR, ended.output
    reason = "No such file or directory" if place == removed else "No space left on device"
    option = broken.removesuffix("-xml")
    assert f"\n{option}={place} cannot be written: {reason}; make room or name another file\n" in ended.output
    assert "Traceback" not in ended.output
    assert "\nPASSED: 1 passed, 0 failed.\n" in ended.output
    written = {option: (nested.folder / path).stat().st_size > 0 for option, path in GOOD.items() if option != broken}
    assert all(written.values()), written
    if broken != "--html":
        assert ended.banner == ("good", "PASSED"), "the other files have the result of the checks"


def test_a_removed_folder(nested: NestedPytest) -> None:
    """A page, a summary and a record in a folder that was removed are named, and nothing else is lost."""
    nested.write(MODULES)
    lost = {option: f"removed/{option}" for option in ("--html", "--summary", "--record", "--junit-xml")}
    ended = nested.run(*(f"{option}={path}" for option, path in lost.items()))
    assert ended.status == pytest.ExitCode.INTERNAL_ERROR, ended.output
    assert ended.output.count(" cannot be written: No such file or directory; ") == len(lost), ended.output
    assert [each["outcome"] for each in ended.verdicts] == ["passed"]


def test_a_baseline_that_is_damaged_during_the_run(nested: NestedPytest) -> None:
    """A baseline that cannot be read again is not updated, in one line."""
    nested.write({"contract/test_damage.py": DAMAGE})
    (nested.folder / "known.txt").write_text("# known\n", "utf-8")
    ended = nested.run(FOREIGN, "--baseline=known.txt", "--write-baseline=known.txt", "--record=record.jsonl")
    assert ended.status == pytest.ExitCode.INTERNAL_ERROR, ended.output
    assert "--write-baseline is not written: --baseline=known.txt is not UTF-8" in ended.output
    assert (nested.folder / "record.jsonl").exists()
