"""A result file that cannot be written at the end of a run fails the run; the other files are written and say so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.fixtures.nested_pytest import FOREIGN, NestedPytest, NestedRun

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


def assert_not_green(ended: NestedRun, lost: str) -> None:
    """Each file that is there has the status of the run, and the page names the file that is lost."""
    assert ended.status == pytest.ExitCode.INTERNAL_ERROR, ended.output
    files = {
        name: ended.folder / name for name in ("summary.json", "record.jsonl", "reports/report.html", "summary.md")
    }
    there = {name for name, path in files.items() if path.exists()}
    if "summary.json" in there:
        assert (ended.summary["exit_status"], ended.summary["word"]) == (3, "INCOMPLETE")
    if "record.jsonl" in there:  # `merge` ends as its parts did
        with files["record.jsonl"].open(encoding="utf-8") as record:
            assert json.loads(next(record))["run"]["exit_status"] == pytest.ExitCode.INTERNAL_ERROR
    if "reports/report.html" in there:
        assert (ended.banner, ended.tab) == (("incomplete", "INCOMPLETE"), ("!", "INCOMPLETE"))
        assert ended.html.count(f"1 passed, 0 failed; not written: {lost}.") == 1
        assert ended.html.count(lost) == 2, "a line of the banner has it in each language"
    if (ended.folder / "junit.xml").exists():
        assert ended.junit == {"tests": 2, "errors": 1, "failures": 0, "skipped": 0}
        assert f"not written: {lost}." in (ended.folder / "junit.xml").read_text("utf-8")
    if "summary.md" in there:
        text = files["summary.md"].read_text("utf-8")
        assert "not written" in text
        assert text.count("## ") == 1, "the file is appended to, so it is written once"


@pytest.mark.skipif(not FULL.exists(), reason="there is no device that is always full")
@pytest.mark.parametrize("broken", GOOD)
def test_a_full_disk(nested: NestedPytest, broken: str) -> None:
    """The error is one line with the file and the reason, and all other files have the results."""
    nested.write(MODULES)
    removed = nested.folder / "removed" / "file"
    place = removed if broken == "--write-baseline" else FULL  # a device is an existing file, which has to be known
    files = {**GOOD, broken: str(place)}
    ended = nested.run(FOREIGN, *(f"{option}={path}" for option, path in files.items()))
    reason = "No such file or directory" if place == removed else "No space left on device"
    option = broken.removesuffix("-xml")
    assert_not_green(ended, f"{option}={place}")
    assert f"\n{option}={place} cannot be written: {reason}; make room or name another file\n" in ended.output
    assert "Traceback" not in ended.output
    assert f"\nINCOMPLETE: 1 passed, 0 failed; not written: {option}={place}.\n" in ended.output
    written = {option: (nested.folder / path).stat().st_size > 0 for option, path in GOOD.items() if option != broken}
    assert all(written.values()), written


def test_a_failed_run_stays_failed(nested: NestedPytest) -> None:
    """A lost file changes no FAILED into another word."""
    nested.write({"contract/test_one.py": MODULES["contract/test_one.py"].rstrip(" ") + "            assert False\n"})
    ended = nested.run("--junit-xml=removed/junit.xml")
    assert (ended.status, ended.banner) == (3, ("bad", "FAILED")), ended.output
    assert "0 passed, 1 failed; not written: --junit=removed/junit.xml." in ended.html


BREAKS = {
    "--html": "markup.render_page",
    "--junit": "junit_file.Path.read_bytes",
    "--verdicts": "verdict_records.verdicts",
    "--summary": "summary.causes_of",
    "--record": "run_record.conditions",
    "--github-summary": "github.markdown",
}


@pytest.mark.parametrize("broken", [*BREAKS, "evidence"])
def test_a_fault_of_the_suite(nested: NestedPytest, broken: str) -> None:
    """Whatever is raised while a file is written is one line with its place, and the other files are written."""
    name = BREAKS.get(broken, "markup.gather_evidence")
    module, _, function = name.rpartition(".")
    imported = f"from lumen_conformance.report import {module.partition('.')[0]}"
    stop = "raise OverflowError('a\\nstrange value')"
    lines = ["def broken(*_, **__):", f"    {stop}", imported, f"{module}.{function} = broken"]
    body = "".join(f"{' ' * 12}{line}\n" for line in lines)
    nested.write({"contract/test_one.py": MODULES["contract/test_one.py"].rstrip(" ") + body})
    ended = nested.run(*(f"{option}={path}" for option, path in GOOD.items() if option != "--write-baseline"))
    option = "--html" if broken == "evidence" else broken
    files = GOOD | {"--junit": GOOD["--junit-xml"]}
    shown = nested.folder / GOOD["--html"] if option == "--html" else files[option]  # the page of pytest.ini
    assert_not_green(ended, f"{option}={shown}")
    assert f"\n{option}={shown} cannot be written: OverflowError: a strange value (test_one.py:" in ended.output
    assert "Traceback" not in ended.output
    lost = {path for path in GOOD.values() if not (nested.folder / path).exists()}
    assert lost == {files[option], GOOD["--write-baseline"]}


def test_a_removed_folder(nested: NestedPytest) -> None:
    """A page, a summary and a record in a folder that was removed are named, and nothing else is lost."""
    nested.write(MODULES)
    lost = {option: f"removed/{option}" for option in ("--html", "--summary", "--record", "--junit-xml")}
    ended = nested.run(*(f"{option}={path}" for option, path in lost.items()))
    assert ended.status == pytest.ExitCode.INTERNAL_ERROR, ended.output
    assert "enerated xml file" not in ended.output
    assert ended.output.count(" cannot be written: No such file or directory; ") == len(lost), ended.output
    assert [each["outcome"] for each in ended.verdicts] == ["passed"]


def test_a_baseline_that_is_damaged_during_the_run(nested: NestedPytest) -> None:
    """A baseline that cannot be read again is not updated, in one line."""
    nested.write({"contract/test_damage.py": DAMAGE})
    (nested.folder / "known.txt").write_text("# known\n", "utf-8")
    ended = nested.run(FOREIGN, "--baseline=known.txt", "--write-baseline=known.txt", "--record=record.jsonl")
    assert_not_green(ended, "--write-baseline=known.txt")
    assert "--write-baseline is not written: --baseline=known.txt is not UTF-8" in ended.output
    assert (nested.folder / "record.jsonl").exists()
