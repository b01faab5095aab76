"""The command ``lumen-conformance``, where it needs no server: options, compare, init, list."""

from __future__ import annotations

import configparser
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lumen_conformance.cli import main as cli
from lumen_conformance.cli.list_checks import read
from lumen_conformance.report.id_selection import is_meant
from tests.fixtures.repository import ROOT


def verdict(check: str, outcome: str, tier: str = "M", param: str | None = None) -> str:
    """One line of a verdict file."""
    return json.dumps({"id": check, "param": param, "tier": tier, "outcome": outcome, "reason": "found 500"})


def write(path: Path, *lines: str) -> Path:
    """Write a verdict file."""
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return path


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    command = [sys.executable, "-m", "lumen_conformance", *arguments]
    return subprocess.run(
        command, capture_output=True, encoding="utf-8", timeout=60, check=False, env={**os.environ, **environ}
    )


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "COMMAND"),
        (["runs"], "'runs'"),
        (["run"], "--url URL or --command"),
        (["run", "everything"], "'everything'"),
        (["compare", "missing.jsonl", "missing.jsonl"], "missing.jsonl cannot be read"),
        (["compare", os.devnull, os.devnull], "has no verdict"),
        (["merge", "missing"], "record.jsonl is missing"),
        (["list", "Z9"], "no check has the id Z9"),
        (["list", "--", "-k"], "arguments behind -- are for run only"),
        (["run", "--command=x", "--output=/dev/null/x"], "/dev/null"),
        (["run", "--command=x", "--output="], "--output is empty"),
        (["run", "--command=x", "--html="], "--html is empty"),
    ],
)
def test_invalid_options(arguments: list[str], named: str) -> None:
    """Invalid options are one line on standard error, and exit status 4."""
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (4, "")
    assert named in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("option", ["--shard=4/3", "--shard=0/3", "--shard=1", "--only=Z9", "--baseline=missing.txt"])
def test_invalid_selection(option: str, tmp_path: Path) -> None:
    """An invalid shard, an id that no check has and a baseline that is missing are usage errors."""
    done = run("run", "contract", "--command=server {port}", option, f"--output={tmp_path}")
    assert done.returncode == 4
    assert option.partition("=")[2] in done.stderr + done.stdout


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["", "parallel"])
@pytest.mark.parametrize("unknown", ["F1.99", "F1.2-no-such-row", "1.99-recovery"])
def test_an_unknown_id_in_a_baseline(tmp_path: Path, unknown: str, workers: tuple[str, ...]) -> None:
    """An id that no check has is refused with its line; an id that this run does not select is accepted."""
    known = tmp_path / "known.txt"
    known.write_text(f"# known\nF1.2-lost  a\n1.4-automatic-restart  b\n{unknown}  c\n", "utf-8")
    done = run(
        "run", "contract", "--command=server {port}", "--only=F1.3", f"--baseline={known}", f"--output={tmp_path}",
        *workers,
    )  # fmt: skip
    assert done.returncode == 4, done.stdout + done.stderr
    assert f"--baseline={known}, line 4: no check has the id {unknown}: expected" in done.stdout + done.stderr


def test_compare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The checks that newly fail, newly warn and newly pass are named, with their outcomes; the exit status is 1."""
    old = write(tmp_path / "old", *(verdict(*each) for each in (
        ("B1.1", "passed"), ("C4.2", "failed"), ("E2.1", "passed"), ("G1.1", "passed", "S"), ("G1.2", "failed", "S"),
    )))  # fmt: skip
    new = write(tmp_path / "new", *(verdict(*each) for each in (
        ("B1.1", "failed"), ("C4.2", "passed"), ("E2.1", "passed"), ("G1.1", "warned", "S"), ("G1.2", "warned", "S"),
    )))  # fmt: skip
    assert cli.main(["compare", str(old), str(new)]) == 1
    output = capsys.readouterr().out
    assert output == (
        "newly failing: 1\n  B1.1 (M)  passed -> failed: found 500\n"
        "newly warned: 1\n  G1.1 (S)  passed -> warned: found 500\n"
        "newly passing: 1\n  C4.2 (M)  failed -> passed\n"
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
    ],
    ids=["still", "skipped", "error", "warned", "strict", "another-row"],
)
def test_compare_exit_status(old: str, new: str, status: int, tmp_path: Path) -> None:
    """The exit status says whether a check newly fails, by what fails a run: a warning does not."""
    files = [str(write(tmp_path / name, line)) for name, line in (("old", old), ("new", new))]
    assert cli.main(["compare", *files]) == status


def test_the_list_is_sorted(capsys: pytest.CaptureFixture[str]) -> None:
    """Contract before recovery, areas by letter, numbers as people count."""
    assert cli.main(["list"]) == 0
    heads = [re.match(r"([A-Z]?)([\d.]+)", line) for line in capsys.readouterr().out.splitlines()]
    listed = [(head[1] or "~", [*map(int, head[2].split("."))]) for head in heads if head]
    assert listed == sorted(listed)
    assert len(listed) == len(heads) == len(read())


def test_init_writes_two_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files are written once; an existing file is never replaced."""
    monkeypatch.chdir(tmp_path)
    assert cli.main(["init"]) == 0
    assert "lumen-conformance run" in (tmp_path / ".github" / "workflows" / "conformance.yml").read_text("utf-8")
    (tmp_path / ".github" / "workflows" / "conformance.yml").unlink()
    assert cli.main(["init"]) == 4
    assert not (tmp_path / ".github" / "workflows" / "conformance.yml").exists()


def test_list_json(capsys: pytest.CaptureFixture[str]) -> None:
    """Each check has its id, tier, claim and the faults that must fail it."""
    assert cli.main(["list", "--json", "B1.1", "1.4-automatic-restart"]) == 0
    checks = {each["id"]: each for each in json.loads(capsys.readouterr().out)}
    assert set(checks) == {"B1.1", "1.4-automatic-restart"}
    assert checks["B1.1"]["tier"] == "M"
    assert "latin-1-in-json" in checks["B1.1"]["faults"]
    assert "never-restarts" in checks["1.4-automatic-restart"]["mutants"]


@pytest.mark.parametrize(
    ("names", "pattern", "meant"),
    [
        (("F2.1",), "F2.1", True),
        (("F2.1",), "F2", True),
        (("F21",), "F2", False),
        (("F2-body-list",), "F2", True),
        (("F2-body-list-never-fails",), "F2-body-list", False),
        (("F2.1",), "F*", True),
        (("E2.1", "E2.1-stream"), "E2.1-stream", True),
        (("E2.1", "E2.1-stream"), "E2.1-usage", False),
    ],
)
def test_which_ids_a_pattern_means(names: tuple[str, ...], pattern: str, meant: bool) -> None:  # noqa: FBT001 -- a row
    """An id, the beginning of ids up to a dot or the first dash, or a pattern with a star."""
    assert is_meant(names, pattern) is meant


def test_same_settings_as_pytest_ini() -> None:
    """What both pytest.ini and the configuration of the command set, they set alike."""
    files = [ROOT / "pytest.ini", ROOT / "lumen_conformance" / "suite.ini"]
    ours, shipped = ({**_read(file)["pytest"]} for file in files)
    shared = {"minversion", "initial_sort", "render_collapsed", "strict_xfail", "filterwarnings", "timeout"}
    assert {name: ours[name] for name in shared} == {name: shipped[name] for name in shared}
    assert set(shipped["addopts"].split()) - {"-rfE"} <= set(
        ours["addopts"].split()
    )  # the command sums up what is skipped


def _read(path: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(path, "utf-8")
    return parser
