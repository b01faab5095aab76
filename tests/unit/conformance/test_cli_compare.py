"""`lumen-conformance compare`: what has changed between two verdict files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lumen_conformance.cli import main as cli


def verdict(check: str, outcome: str, tier: str = "M", param: str | None = None) -> str:
    """One line of a verdict file."""
    return json.dumps({"id": check, "param": param, "tier": tier, "outcome": outcome, "reason": "found 500"})


def write(path: Path, *lines: str) -> Path:
    """Write a verdict file."""
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return path


def test_compare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each check with another outcome is named below what has changed, with both outcomes; the exit status is 1."""
    old = write(tmp_path / "old", *(verdict(*each) for each in (
        ("B1.1", "passed", "M", "plain"), ("C4.2", "failed"), ("E2.1", "passed"), ("E2.2", "passed"),
        ("F1.2", "passed"), ("F2", "not_judged"), ("G1.1", "passed", "S"), ("G1.2", "failed", "S"),
    )))  # fmt: skip
    new = write(tmp_path / "new", *(verdict(*each) for each in (
        ("B1.1", "failed", "M", "plain"), ("C4.2", "passed"), ("E2.1", "passed"), ("E2.2", "not_judged"),
        ("F2", "failed"), ("G1.1", "warned", "S"), ("G1.2", "warned", "S"),
    )))  # fmt: skip
    assert cli.main(["compare", str(old), str(new)]) == 1
    output = capsys.readouterr().out
    assert output == (
        "newly failing: 1\n  B1.1-plain (M)  passed -> failed: found 500\n"
        "newly not judged: 1\n  E2.2 (M)  passed -> not_judged: found 500\n"
        "newly judged: 1\n  F2 (M)  not_judged -> failed: found 500\n"
        "newly warned: 1\n  G1.1 (S)  passed -> warned: found 500\n"
        "newly passing: 1\n  C4.2 (M)  failed -> passed\n"
        "newly absent: 1\n  F1.2 (M)  passed -> absent\n"
        "newly present: 0\n"
        "other changes: 1\n  G1.2 (S)  failed -> warned\n"
    )


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        (verdict("B1.1", "failed"), verdict("B1.1", "failed"), 0),
        (verdict("B1.1", "passed"), verdict("B1.1", "skipped"), 0),
        (verdict("B1.1", "skipped"), verdict("B1.1", "error"), 1),
        (verdict("B1.1", "passed", "S"), verdict("B1.1", "warned", "S"), 0),
        (verdict("B1.1", "warned", "S"), verdict("B1.1", "failed", "S"), 1),
        (verdict("B1.1", "passed", param="stream"), verdict("B1.1", "failed", param="plain"), 1),
        (verdict("B1.1", "passed"), verdict("B1.1", "not_judged"), 1),
        (verdict("B1.1", "passed", "S"), verdict("B1.1", "not_judged", "S"), 0),
        (verdict("B1.1", "failed"), verdict("B1.1", "not_judged"), 0),
        (verdict("B1.1", "not_judged"), verdict("B1.1", "failed"), 0),
        (verdict("B1.1", "passed"), verdict("C1.1", "passed"), 0),
    ],
    ids=[
        "still",
        "skipped",
        "error",
        "warned",
        "strict",
        "another-row",
        "not-judged",
        "not-judged-s",
        "failed-before",
        "judged",
        "absent",
    ],
)
def test_compare_exit_status(old: str, new: str, status: int, tmp_path: Path) -> None:
    """The exit status says whether a check newly fails, by what fails a run: a warning does not."""
    files = [str(write(tmp_path / name, line)) for name, line in (("old", old), ("new", new))]
    assert cli.main(["compare", *files]) == status


def folder(path: Path, status: int, word: str, *lines: str, **counts: int) -> Path:
    """Write an output folder."""
    path.mkdir()
    write(path / "verdicts.jsonl", *lines)
    (path / "summary.json").write_text(json.dumps({"word": word, "exit_status": status, "counts": counts}), "utf-8")
    return path


NEVER = verdict("C1.2", "error").replace("found 500", "never ran: the run ended before it")


@pytest.mark.parametrize(
    ("status", "word", "counts", "lines", "why"),
    [
        (2, "INTERRUPTED", {"never_ran": 3}, (), "INTERRUPTED, exit status 2, 3 never ran"),
        (3, "INTERNAL ERROR", {}, (), "INTERNAL ERROR, exit status 3"),
        (1, "FAILED", {"not_collected": 2}, (), "FAILED, exit status 1, 2 could not be collected"),
        (1, "FAILED", {"never_ran": 1}, (NEVER,), "FAILED, exit status 1, 1 never ran"),
    ],
)
def test_an_incomplete_run_is_not_better(
    *, status: int, word: str, counts: dict[str, int], lines: tuple[str, ...], why: str, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """What did not come to its end says nothing of the release: status 1, another word, and no green page."""
    same = (verdict("B1.1", "passed"), *lines)
    old = folder(tmp_path / "old", 0, "PASSED", same[0], *(verdict("C1.2", "error") for _ in lines))
    new = folder(tmp_path / "new", status, word, *same, **counts)
    page = tmp_path / "page.html"
    assert cli.main(["compare", str(old), str(new), f"--html={page}"]) == 1
    assert f"\nthe new run is not complete: {why}\n" in capsys.readouterr().out
    text = page.read_text("utf-8")
    assert "<title>INCOMPLETE: " in text
    assert '<section class="banner incomplete"' in text
    assert "The new run is not complete</span>" in text
    assert f"{old}: {len(same)} checks; PASSED, exit status 0" in text
    assert f"{new}: {len(same)} checks; {why}" in text
    assert cli.main(["compare", str(old), str(new), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["old_run"]["complete"], found["new_run"]) == (
        True, {"word": word, "exit_status": status, "complete": False},
    )  # fmt: skip
    assert cli.main(["compare", str(new), str(old)]) == 0, "the earlier run is only shown"


def test_a_file_with_a_check_that_never_ran(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Verdicts alone show this, too, also where it is no change."""
    file = write(tmp_path / "new", verdict("B1.1", "passed"), NEVER)
    assert cli.main(["compare", str(file), str(file)]) == 1
    assert capsys.readouterr().out.endswith("\nthe new run is not complete: 1 never ran\n")


@pytest.mark.parametrize(("status", "outcome"), [(0, "baselined"), (1, "failed"), (1, "passed")])
def test_a_run_that_fails_is_not_green(status: int, outcome: str, tmp_path: Path) -> None:
    """No change, and not worse: neither is green while checks fail, or the run does."""
    lines, page = (verdict("B1.1", outcome), verdict("C1.1", "passed")), tmp_path / "page.html"
    new = folder(tmp_path / "new", status, "FAILED" if status else "PASSED", *lines)
    for name, word in (("C1.1", "NO CHANGE"), ("C1.2", "NOT WORSE")):
        old = folder(tmp_path / name, status, "FAILED", lines[0], verdict(name, "passed"))
        assert cli.main(["compare", str(old), str(new), f"--html={page}"]) == 0
        assert f"<title>{word}: " in page.read_text("utf-8")
        assert '<section class="banner incomplete"' in page.read_text("utf-8")


def test_a_damaged_summary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """How a run ended must be readable: one line, status 4."""
    good = folder(tmp_path / "good", 0, "PASSED", verdict("B1.1", "passed"))
    bad = folder(tmp_path / "bad", 0, "PASSED", verdict("B1.1", "passed"))
    (bad / "summary.json").write_text('{"word": 1}', "utf-8")
    assert cli.main(["compare", str(good), str(bad)]) == 4
    error = capsys.readouterr().err
    assert (error.count("\n"), f"{bad / 'summary.json'} is no summary of a run: " in error) == (1, True)


def test_compare_writes_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file of verdicts alone is enough; the page names what it lacks, and standard output has only the JSON."""
    old = write(tmp_path / "old", verdict("B1.1", "passed"), verdict("C1.1", "failed"), verdict("C1.2", "passed"))
    new = write(tmp_path / "new", verdict("B1.1", "failed"), verdict("C1.1", "failed"), verdict("C1.2", "passed"))
    page = tmp_path / "pages" / "page.html"
    assert cli.main(["compare", str(old), str(new), "--json", f"--html={page}"]) == 1
    assert [each["id"] for each in json.loads(capsys.readouterr().out)["newly_failing"]] == ["B1.1"]
    text = page.read_text("utf-8")
    assert "<title>WORSE: 1 newly failing, 1 failing in both, 1 otherwise unchanged - Comparison of two runs<" in text
    assert f"{old}: 3 checks (verdicts only)" in text
    assert cli.main(["compare", str(old), str(old), f"--html={page}"]) == 0
    assert "<title>NO CHANGE: 1 failing in both, 2 otherwise unchanged - " in page.read_text("utf-8")
    assert capsys.readouterr().out.endswith(f"Generated html report: {page.as_uri()}\n")


@pytest.mark.parametrize("name", ["", "old", "new", "old/page.html", "."], ids=repr)
def test_compare_refuses_a_page_that_it_cannot_write(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty name, a file that is compared, a folder: one line, status 4, and both files stay as they are."""
    monkeypatch.chdir(tmp_path)
    files = [write(tmp_path / each, verdict("B1.1", "passed")) for each in ("old", "new")]
    before = [each.read_bytes() for each in files]
    assert cli.main(["compare", "old", "new", f"--html={name}"]) == 4
    error = capsys.readouterr().err
    assert (error.count("\n"), "another file" in error) == (1, True)
    assert [each.read_bytes() for each in files] == before


@pytest.mark.parametrize(
    "line",
    [
        '{"id": "A1", "param": null}',
        verdict("B1.1", "passed").replace('"B1.1"', "1"),
        verdict("B1.1", "passed").replace('"passed"', "null"),
        "[]",
        "{",
        "\udcff",
    ],
    ids=["keys", "number", "null", "list", "cut", "bytes"],
)
def test_compare_refuses_a_damaged_file(line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line that is no verdict ends the command with status 4 and one line with the file and the line."""
    good, bad = write(tmp_path / "good", verdict("B1.1", "passed")), tmp_path / "bad"
    bad.write_bytes(f"{verdict('C1.1', 'passed')}\n{line}\n".encode("utf-8", "surrogateescape"))
    assert cli.main(["compare", str(good), str(bad)]) == 4
    error = capsys.readouterr().err
    assert f"{bad}, line 2: no verdict: " in error
    assert error.count("\n") == 1
