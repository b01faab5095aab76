"""``lumen-conformance run`` as a process: baselines, old records, the current folder."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from lumen_conformance.cli.exit_status import ExitStatus
from lumen_conformance.processes import shadow_modules
from lumen_conformance.processes.process_tree import ProcessRef, kill_all, list_running, list_tree
from lumen_conformance.waiting import until
from tests.fixtures.nested_pytest import inherited
from tests.fixtures.suite_subprocess import RUN_BUDGET_S

SERVER = f"{sys.executable} -P -m lumen_conformance.examples.forwarder {{host}} {{port}} {{gateway_url}}"


def command(*arguments: str, server: str = SERVER) -> list[str]:
    """Return the command that judges the server."""
    return [sys.executable, "-P", "-m", "lumen_conformance", "run", "contract", "--command", server, *arguments]


def environment(folder: Path) -> dict[str, str]:
    """Return an environment with a folder for temporary files: what the command writes elsewhere is no leak."""
    temporary = folder / "temporary"
    temporary.mkdir(exist_ok=True)
    return inherited() | {"PYTEST_DEBUG_TEMPROOT": os.fspath(temporary)}


def run(folder: Path, *arguments: str, server: str = SERVER) -> subprocess.CompletedProcess[str]:
    """Judge the server from this folder."""
    return subprocess.run(
        command(*arguments, server=server), cwd=folder, env=environment(folder), capture_output=True, encoding="utf-8",
        errors="replace", timeout=RUN_BUDGET_S, check=False,
    )  # fmt: skip


def test_a_baseline(tmp_path: Path) -> None:
    """A written baseline turns the same failures green; a failure that it does not list stays red."""
    broken = f"{SERVER} own-404"
    red = run(tmp_path, "--only", "F1.2", "--write-baseline", "known.txt", server=broken)
    assert red.returncode == ExitStatus.FAILED, red.stdout + red.stderr
    known = tmp_path / "known.txt"
    known.write_text(known.read_text("utf-8").replace("\n", "  known\n"), "utf-8")
    listed = run(tmp_path, "--only", "F1.2", "--baseline", "known.txt", server=broken)
    assert listed.returncode == ExitStatus.OK, f"{known.read_text('utf-8')}\n{listed.stdout}{listed.stderr}"
    assert "1 baselined" in listed.stdout


def merge(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Join records."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "lumen_conformance", "merge", *arguments], cwd=folder, env=environment(folder),
        capture_output=True, encoding="utf-8", timeout=RUN_BUDGET_S, check=False,
    )  # fmt: skip


def files_of(folder: Path) -> dict[Path, bytes]:
    """Return each file and folder with its content."""
    found = (path for path in folder.rglob("*") if "temporary" not in path.parts)
    return {path: path.read_bytes() if path.is_file() else b"" for path in found}


def test_a_refused_command_changes_nothing(tmp_path: Path) -> None:
    """A refused run and a refused merge print one line, and change no file: good results of an earlier run stay."""
    (tmp_path / "known.txt").write_text("Z9  no such check\n", "utf-8")
    parts = [run(tmp_path, "--only", "C1.1", "F1.2", "--shard", f"{part}/2", "--output", part) for part in "12"]
    assert [part.returncode for part in parts] == [ExitStatus.OK, ExitStatus.OK], parts
    other = run(tmp_path, "--shard", "2/2", "--only", "C1.1", "--output", "other")
    assert other.returncode == ExitStatus.OK, other.stdout + other.stderr
    assert merge(tmp_path, "1", "2/record.jsonl", "--output=joined").returncode == ExitStatus.OK
    before = files_of(tmp_path)
    only = ("--only", "C1.1")
    refused = [
        run(tmp_path, *options, "--output", folder)
        for folder, options in [
            ("1", ("--only", "NOPE")), ("new", ("--only", "NOPE", "-n", "1")), ("1", (*only, "--shard=9/2")),
            ("1", (*only, "--baseline=known.txt")), ("new/folder", (*only, "--github-summary=new.md", "--can=nope")),
        ]
    ]  # fmt: skip
    refused += [merge(tmp_path, "1", "other", f"--output={folder}") for folder in ("joined", "new")]
    for each in refused:
        assert (each.returncode, each.stdout) == (ExitStatus.USAGE, ""), each
        assert each.stderr.strip().count("\n") == 0, each
    assert files_of(tmp_path) == before
    assert sorted(path.name for path in (tmp_path / "joined" / "parts").iterdir()) == ["1", "2"]


def test_secrets_of_the_command_line(tmp_path: Path) -> None:
    """No secret of the command line is in the terminal, in a file of the run, or among the arguments of pytest."""
    secrets = ("plugh-of-api-key", "xyzzy-of-header", "frotz-of-command", "gnusto-of-variable")
    arguments = Path(tmp_path, "arguments")
    server = (
        f"env TOKEN={secrets[3]} {sys.executable} -S -c 'import os, sys; "
        f'open("{arguments}", "wb").write(open(f"/proc/{{os.getppid()}}/cmdline", "rb").read()); '
        f"print(sys.argv, os.environ); sys.exit(str(sys.argv))' --server-secret {secrets[2]} {{port}}"
    )
    ended = run(
        tmp_path, "--only", "C1.1", f"--api-key={secrets[0]}", f"--header=X-Team: {secrets[1]}", "--junit=junit.xml",
        "--github-summary=summary.md", server=server,
    )  # fmt: skip
    assert ended.returncode == ExitStatus.FAILED, ended.stdout + ended.stderr
    assert "--server-secret [hidden]" in ended.stdout
    texts = {"terminal": (ended.stdout + ended.stderr).encode()}
    texts |= {str(path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path != arguments}
    shown = {name: [each for each in secrets if each.encode() in text] for name, text in texts.items()}
    assert {name: found for name, found in shown.items() if found} == {}
    if sys.platform == "linux":
        assert secrets[0].encode() not in arguments.read_bytes()


@pytest.mark.skipif(os.name == "nt", reason="A shell of POSIX writes the file")
def test_a_server_that_writes_into_the_current_folder(tmp_path: Path) -> None:
    """A file that the server writes into the current folder of the user is no leak of the suite."""
    ended = run(tmp_path, "--only", "C1.1", "A3", server=f"sh -c 'touch written-$$; exec {SERVER}'")
    assert list(tmp_path.glob("written-*"))
    assert ended.returncode == ExitStatus.OK, ended.stdout + ended.stderr


def test_modules_of_the_current_folder(tmp_path: Path) -> None:
    """Neither the command nor its parallel workers import a module of the current folder."""
    shadow_modules.write_modules(tmp_path, [*shadow_modules.USUAL_NAMES, "pytest", "execnet/", "conftest"])
    ended = run(tmp_path, "--only", "C1.1", "-n", "1")
    assert shadow_modules.find_imported(tmp_path) == ()
    assert ended.returncode == ExitStatus.OK, ended.stdout + ended.stderr


def arguments(ref: ProcessRef) -> list[str]:
    """Return the arguments of a process; none when it has ended."""
    with contextlib.suppress(psutil.Error):
        return psutil.Process(ref.pid).cmdline()
    return []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals of this kind")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "parallel"])
def test_an_interruption(tmp_path: Path, number: int, workers: tuple[str, ...]) -> None:
    """A run that is interrupted while a server runs ends with status 2 and a summary, and leaves no process."""
    # A server that never becomes ready: the stage waits for it when the signal comes.
    server = f"{sys.executable} -S -c 'import signal; signal.pause()' of-{tmp_path.name} {{port}}"
    options = {"cwd": tmp_path, "env": environment(tmp_path), "stdout": subprocess.DEVNULL}
    with subprocess.Popen(command(*workers, server=server), **options) as process:  # type: ignore[call-overload]
        tree = list_tree(ProcessRef.of(process.pid))

        def server_runs() -> bool:
            nonlocal tree
            tree = list_tree(ProcessRef.of(process.pid))
            return any(f"of-{tmp_path.name}" in arguments(ref) for ref in tree[1:])

        until("a server runs", server_runs, within_s=RUN_BUDGET_S)
        process.send_signal(number)
        status = process.wait(RUN_BUDGET_S)
    left = list_running(tree)
    kill_all(left)
    assert (status, left) == (ExitStatus.INTERRUPTED, ())
    assert json.loads((tmp_path / "conformance-report" / "summary.json").read_text("utf-8"))["word"] == "INTERRUPTED"


@pytest.mark.skipif(os.name == "nt", reason="A shell of POSIX closes the streams")
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-", "> /dev/full", "| true"])
def test_a_closed_stream(tmp_path: Path, closed: str) -> None:
    """A standard stream that is closed, full or not read loses its text only: the run ends with its own status."""
    words = " ".join(map(shlex.quote, command("--only", "C1.1")))
    line = f"{{ {words}; echo $? > status; }} {closed}"
    done = subprocess.run(
        ["/bin/sh", "-c", line], cwd=tmp_path, env=environment(tmp_path), capture_output=True, encoding="utf-8",
        timeout=RUN_BUDGET_S, check=False,
    )  # fmt: skip
    assert (tmp_path / "status").read_text().strip() == str(ExitStatus.OK.value), done.stderr
    assert done.stderr == ""


def test_a_merge_in_a_folder_with_a_conftest(tmp_path: Path) -> None:
    """Merging records imports no conftest.py of the current folder."""
    first = run(tmp_path, "--only", "C1.1")
    assert first.returncode == ExitStatus.OK, first.stdout + first.stderr
    (tmp_path / "conftest.py").write_text("open('imported', 'w').close()\n", "utf-8")
    merged = merge(tmp_path, "conformance-report", "--output=merged")
    assert merged.returncode == ExitStatus.OK, merged.stdout + merged.stderr
    assert not (tmp_path / "imported").exists()
