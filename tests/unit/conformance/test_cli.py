"""The command ``lumen-conformance``, where it needs no server: options, compare, init, list."""

from __future__ import annotations

import configparser
import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from lumen_conformance.cli import list_checks
from lumen_conformance.cli import main as cli
from lumen_conformance.cli import run as run_command
from lumen_conformance.cli.list_checks import read
from lumen_conformance.processes import interruption
from lumen_conformance.report.id_selection import is_meant
from tests.fixtures.repository import ROOT


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
        (["run", "--command=x", "--url=http://127.0.0.1:1"], "--url and --command are two targets"),
        *((["run", "--command=x", "-n", number], f"'{number}' is invalid") for number in ("-1", "0", "abc", "25")),
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


@pytest.mark.skipif(os.name == "nt", reason="Windows has no exec")
def test_what_pytest_is_started_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Options are passed on; settings and plugins of the user's own pytest are not."""
    started: list[tuple[list[str], dict[str, str]]] = []
    monkeypatch.setattr(os, "execve", lambda _, arguments, environ: started.append((arguments, environ)))
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess("", 0))  # behind execve
    blocked: list[int] = []
    monkeypatch.setattr(interruption, "block_signals", lambda: blocked.append(len(started)))
    stranger = EntryPoint("stranger", "stranger", "pytest11")
    monkeypatch.setattr(run_command, "entry_points", lambda **_: [stranger, EntryPoint("xdist", "x", "pytest11")])
    for name in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTEST_DISABLE_PLUGIN_AUTOLOAD"):
        monkeypatch.setenv(name, "1")
    options = [
        "-n",
        "3",
        "--junit=j.xml",
        "--github-summary=s.md",
        "--shard=1/2",
        "--baseline=b.txt",
        "--only",
        "B1",
        "C1",
    ]
    assert cli.main(["run", "smoke", "--command=server {port}", f"--output={tmp_path}", *options, "--", "-x"]) == 0
    assert blocked == [0], "signals are blocked before pytest replaces this process"
    ((arguments, environ),) = started
    assert arguments[arguments.index("-n") : arguments.index("-n") + 4] == ["-n", "3", "--dist", "loadfile"]
    assert arguments[arguments.index("-m", arguments.index("-m") + 1) + 1] == "smoke"
    passed_on = {
        "--junit-xml=j.xml",
        "--github-summary=s.md",
        "--shard=1/2",
        "--baseline=b.txt",
        "--only=B1",
        "--only=C1",
    }
    assert {*passed_on, "-x", "--proxy-command=server {port}"} <= set(arguments)
    assert [name for name in arguments if name.startswith("no:")] == ["no:cacheprovider", "no:stranger"]
    assert [name for name in environ if name.startswith("PYTEST_") and environ[name] == "1"] == []


def test_an_interrupted_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that is interrupted has exit status 2, as a run has."""

    def interrupt(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(list_checks, "main", interrupt)
    assert cli.main(["list"]) == 2


def test_the_parent_of_an_interrupted_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where pytest is a child, Ctrl-C is for the child: the parent waits for its report and has its exit status."""

    def interrupt(*_: object, **__: object) -> subprocess.CompletedProcess[bytes]:
        signal.raise_signal(signal.SIGINT)
        return subprocess.CompletedProcess((), 2)

    monkeypatch.setattr(subprocess, "run", interrupt)
    before = signal.getsignal(signal.SIGINT)
    assert run_command.wait_for_child(["pytest"], {}) == 2
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("arguments", [["list"], ["--help"], ["list", "--json"]], ids=" ".join)
def test_output_that_cannot_be_written(arguments: list[str]) -> None:
    """A command whose output is lost ends with status 3, and names the reason; it was not interrupted."""
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        command = [sys.executable, "-m", "lumen_conformance", *arguments]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert done.returncode == 3
    assert done.stderr.startswith("lumen-conformance: the output cannot be written: No space left on device; ")
    assert done.stderr.count("\n") == 1


def test_a_reader_that_has_ended(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A command whose reader has ended, such as head, has status 2 and reports nothing."""

    def lose(_: str) -> int:
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))

    monkeypatch.setattr(sys.stdout, "write", lose)
    assert cli.main(["list"]) == 2
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("error", "cause"),
    [(shutil.Error("a is the same file as b"), "a is the same file as b"), (OSError(12, "No memory"), "No memory")],
    ids=["shutil", "system"],
)
def test_an_error_that_names_no_file(
    error: OSError, cause: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error of the system that names no file is no lost output: status 3, and one line with its own cause."""

    def fail(_: object) -> int:
        raise error

    monkeypatch.setattr(list_checks, "main", fail)
    assert cli.main(["list"]) == 3
    assert capsys.readouterr().err == f"lumen-conformance list: {cause}\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--command=server {prt}"], "--command: {prt} is no placeholder: write {port}"),
        (["--command=server {port}", "--can=journal"], "--can journal: only our own proxy has it"),
        (["--command="], "--command is empty"),
        (["--url=http://127.0.0.1:1"], "--url needs --model"),
        (["--command=server", "--header=nonsense"], "--header: give it as"),
        (["--command=server", "--header=Content-Length: 5"], "--header Content-Length: the suite sets it"),
        (["--command=server", "--", "--setup-plan"], "--setup-plan: no check runs with it"),
        (["--command=server", "--", "--replay=x"], "--replay=x: no check runs with it"),
        (["--url=http://127.0.0.1:1", "--model=m", "--start-timeout=9"], "--start-timeout: only with --command"),
    ],
)
def test_messages_name_the_options_of_the_command(options: list[str], message: str, tmp_path: Path) -> None:
    """An invalid option of the target is refused before a launch, by the name that the command has for it."""
    done = run("run", "contract", *options, f"--output={tmp_path}")
    assert (done.returncode, done.stdout) == (4, "")
    assert message in done.stderr
    assert "--proxy-" not in done.stderr


def test_help_names_no_option_of_pytest_in_its_texts() -> None:
    """The texts of the command name its own options; those of pytest stand beside them as second names only."""
    texts = run("run", "--help", COLUMNS="1000").stdout.splitlines()
    assert [line for line in texts if "--proxy-" in re.sub(r", --proxy-\S+", "", line)] == []


def test_each_option_has_one_text() -> None:
    """An option that both pytest and the command have is described by the same text in both."""
    ours = _texts(run("run", "--help", COLUMNS="1000").stdout)
    command = [sys.executable, "-m", "pytest", "-p", "lumen_conformance.plugin", "--help"]
    environ = {**os.environ, "COLUMNS": "1000"}
    done = subprocess.run(
        command, capture_output=True, encoding="utf-8", timeout=60, check=False, env=environ, cwd=ROOT / "docs"
    )
    pytests = _texts(done.stdout)
    shared = (ours.keys() & pytests.keys()) - {"--help", "--html", "--timeout"}  # of pytest and other plugins
    assert {"--only", "--shard", "--baseline", "--record", "--github-summary"} <= shared
    assert [name for name in shared if not ours[name].startswith(pytests[name])] == []
    assert pytests["--proxy-url"] == ours["--url"]


def _texts(help_text: str) -> dict[str, str]:
    """Return the text of each option of a help page."""
    rows = re.findall(r"^  (--[a-z-]+)[^\n]*?(?:\n {3,}|  +)(\S.*)$", help_text, re.MULTILINE)
    return dict(rows)


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


def test_the_list_is_sorted(capsys: pytest.CaptureFixture[str]) -> None:
    """Contract before recovery, areas by letter, numbers as people count."""
    assert cli.main(["list"]) == 0
    heads = [re.match(r"([A-Z]?)([\d.]+)", line) for line in capsys.readouterr().out.splitlines()]
    listed = [(head[1] or "~", [*map(int, head[2].split("."))]) for head in heads if head]
    assert listed == sorted(listed)
    assert len(listed) == len(heads) == len(read())


def test_list_rows(capsys: pytest.CaptureFixture[str]) -> None:
    """A check that is asked for is listed with its rows, each as `--only` accepts it; a row finds its check."""
    assert cli.main(["list", "F1.2-lost"]) == 0
    first, *rows = capsys.readouterr().out.splitlines()
    assert first.startswith("F1.2  M  ")
    assert "F1.2-lost" in [row.strip() for row in rows]
    assert cli.main(["list", "F1.2-no-such-row"]) == 4


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
    shared = {"minversion", "strict_xfail", "filterwarnings", "timeout"}
    assert {name: ours[name] for name in shared} == {name: shipped[name] for name in shared}
    assert set(shipped["addopts"].split()) - {"-rfE"} <= set(
        ours["addopts"].split()
    )  # the command sums up what is skipped


def _read(path: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(path, "utf-8")
    return parser
