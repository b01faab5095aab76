"""Output files: two options with one file, empty names, links, devices and pipes."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lumen_conformance.report import output_paths
from lumen_conformance.report.baseline import read, text_of
from lumen_conformance.report.baseline_writer import replace, updated
from tests.fixtures.nested_pytest import NestedRun, stage_foreign

TESTS = '''
    """One check fails."""
    from lumen_conformance.registry import expect
    @check("B1.5")
    def test_json():
        """The body is JSON."""
        expect(False, "one JSON value", "an error page")
    '''


def run_failing_check(base: Path, *arguments: str) -> NestedRun:
    """Run one check that fails."""
    return stage_foreign(base, {"contract/test_answers.py": TESTS}, *arguments)


OPTIONS = {"--junit": "--junit-xml"}  # where the name of the command is not that of pytest
SAME = [("--baseline", "--verdicts"), ("--write-baseline", "--verdicts"), ("--html", "--write-baseline"),
        ("--html", "--junit"), ("--junit", "--github-summary"), ("--github-summary", "--record"),
        ("--summary", "--record")]  # fmt: skip


def run_with_files(base: Path, files: dict[str, str]) -> NestedRun:
    """Run the check with these files of options."""
    return run_failing_check(base, *(f"{OPTIONS.get(option, option)}={path}" for option, path in files.items()))


def refuses(ended: NestedRun, first: str, second: str) -> bool:
    """Return whether the run was refused because of these two options."""
    return ended.status == 4 and f"{first} and {second} name the same file, " in ended.output


@pytest.mark.parametrize("options", SAME, ids="".join)
def test_one_file_for_two_options_is_refused(tmp_path: Path, options: tuple[str, str]) -> None:
    """Two options that name the same file are a usage error, and the file is unchanged."""
    known = tmp_path / "known.txt"
    known.write_text("B1.5  issue 17\n", "utf-8")
    spellings = (str(known), f"{tmp_path}/./known.txt")
    ended = run_with_files(tmp_path, dict(zip(options, spellings, strict=True)))
    assert (refuses(ended, *options), known.read_text("utf-8")) == (True, "B1.5  issue 17\n"), ended.output


@pytest.mark.parametrize("link", [os.symlink, os.link], ids=["symbolic", "hard"])
def test_two_names_of_one_file_are_refused(tmp_path: Path, link: Callable[[Path, Path], None]) -> None:
    """A link to the file of another option is a usage error."""
    known, other = tmp_path / "known.txt", tmp_path / "other.txt"
    known.write_text("B1.5  issue 17\n", "utf-8")
    link(known, other)
    ended = run_with_files(tmp_path, {"--baseline": str(known), "--record": str(other)})
    assert (refuses(ended, "--baseline", "--record"), known.read_text("utf-8")) == (True, "B1.5  issue 17\n")


@pytest.mark.parametrize("option", [option for option in output_paths.FILES if option != "--html"])
def test_an_empty_name_is_refused(tmp_path: Path, option: str) -> None:
    """An empty name, such as that of an unset variable, is a usage error."""
    ended = run_with_files(tmp_path, {option: ""})
    assert (ended.status, f"{option} is empty: give it a file, or omit the option" in ended.output) == (4, True)


def test_links_and_devices_are_not_removed(tmp_path: Path) -> None:
    """The file of an earlier run is removed; the target of a link is emptied, and the link stays."""
    kept, link = tmp_path / "kept", tmp_path / "link"
    kept.write_text("of an earlier run", "utf-8")
    link.symlink_to(kept)
    output_paths.remove(link)
    assert (link.is_symlink(), kept.read_text("utf-8")) == (True, "")
    output_paths.remove(kept)
    output_paths.remove(kept)
    output_paths.remove(Path(os.devnull))
    assert (kept.exists(), Path(os.devnull).exists()) == (False, True)


INVALID = {
    "utf-16": ("B1.5  reason\n".encode("utf-16"), "is not UTF-8 (byte 0xff at offset 0); save it as UTF-8"),
    "cp949": ("B1.5  이유\n".encode("cp949"), "is not UTF-8 (byte 0xc0 at offset 6); save it as UTF-8"),
    "utf-16-without-mark": ("B1.5 a".encode("utf-16-le"), r"line 1: 'B\x001\x00.\x005\x00' is no check id"),
    "no-id": (b"- B1.5 reason\n", "line 1: '-' is no check id, such as F1.2; begin a comment with #"),
    "indented": (b"B1.5 a\n F1.2 b\n", "line 2: 'F1.2' is indented: expected an id at the beginning of the line"),
    "twice": (b"B1.5 a\n\nB1.5 b\n", "line 3: B1.5 is listed twice; remove one line"),
    "no-reason": (b"B1.5 \t\r\n", "line 1: B1.5 has no reason; write one after the id"),
}


@pytest.mark.parametrize("name", INVALID)
def test_an_invalid_baseline(tmp_path: Path, name: str) -> None:
    """The error of an invalid baseline is one line with the file, the error and the fix."""
    known, (content, message) = tmp_path / "known.txt", INVALID[name]
    known.write_bytes(content)
    with pytest.raises(pytest.UsageError) as error:
        read(text_of(known), str(known))
    assert str(error.value).startswith(f"--baseline={known}")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["nowhere.txt", "."])
def test_a_baseline_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    """The error of a missing file or a folder says what to do."""
    with pytest.raises(pytest.UsageError, match=r"cannot be read: .*; give a file that --write-baseline=FILE has"):
        text_of(tmp_path / name)


def test_encodings_of_a_baseline(tmp_path: Path) -> None:
    """A byte order mark and line ends of Windows are ignored; other white space is part of a reason."""
    known = tmp_path / "known.txt"
    known.write_bytes(b"\xef\xbb\xbf" + "B1.5  이유\u2028B1.6 is text, too\r\n# remark\x0bB1.7\r\n".encode())
    assert read(text_of(known), "known.txt") == {"B1.5": "이유\u2028B1.6 is text, too"}


UPDATES = {
    "unchanged": ("A1 a\nA2 b", {}, (), "A1 a\nA2 b"),
    "last-line-open": ("A1 a\nA2 b", {"A3": "c"}, ("A1",), "A2 b\nA3  c\n"),
    "windows": ("A1 a\r\nA2 b\r\n", {"A3": "c"}, ("A1",), "A2 b\r\nA3  c\r\n"),
    "other-white-space": ("A1 a\u2028A2 b\x0bA3\nA2 b\n", {}, ("A2",), "A1 a\u2028A2 b\x0bA3\n"),
    "empty": ("", {"A3": "c"}, (), "A3  c\n"),
}


@pytest.mark.parametrize("name", UPDATES)
def test_an_update_keeps_other_lines(name: str) -> None:
    """Lines that are neither added nor removed stay unchanged, with their line ends."""
    text, added, removed, expected = UPDATES[name]
    assert updated(text, added, removed) == expected


def test_an_update_keeps_permissions(tmp_path: Path) -> None:
    """An updated file keeps its permissions, and no temporary file is left."""
    known = tmp_path / "known.txt"
    known.write_text("old", "utf-8")
    known.chmod(0o600)
    replace(known, "new\r\n")
    assert (known.read_bytes(), known.stat().st_mode & 0o777) == (b"new\r\n", 0o600)
    assert [path.name for path in tmp_path.iterdir()] == ["known.txt"]


def test_an_update_keeps_a_link(tmp_path: Path) -> None:
    """A baseline behind a link is updated, and the link stays."""
    real, known = tmp_path / "real.txt", tmp_path / "known.txt"
    real.write_text("# kept\n", "utf-8")
    known.symlink_to(real)
    ended = run_failing_check(tmp_path / "run", f"--baseline={known}", f"--write-baseline={known}")
    assert (ended.status, known.is_symlink()) == (1, True), ended.output
    assert real.read_text("utf-8") == "# kept\nB1.5  an error page\n"


@pytest.mark.skipif("not hasattr(__import__('os'), 'mkfifo')", reason="there are no named pipes here")
@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_a_pipe_is_read_once(tmp_path: Path, workers: str) -> None:
    """A baseline may be a pipe, such as ``<(…)`` of a shell: it is read once, also with parallel workers."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(pipe.write_text, "B1.5 known\n")
        ended = run_failing_check(tmp_path / "run", f"--baseline={pipe}", workers)
    assert ended.status == 0, ended.output
