"""Without a known home folder one line names the variables to set, and no file is written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from lumen_proxy.cli import main as cli

UNKNOWN_UID = 54_321  # without a passwd entry here; if it has one, the test is skipped
LOOK_S = 30.0  # a start of Python takes 0.1 s
pwd = pytest.importorskip("pwd", reason="home folders are looked up by name on POSIX only")

BOTH = ("LUMEN_STATE_DIR", "LUMEN_LOG_DIR", "HOME")
Case = tuple[dict[str, str], str, int, tuple[str, ...]]
CASES: dict[str, Case] = {
    "nothing-set": ({}, "config", 78, BOTH),
    "log-dir-not-set": ({"LUMEN_STATE_DIR": "/x"}, "config", 78, BOTH),
    "home-relative": ({"HOME": "x"}, "config", 78, BOTH),
    "own-home-unknown": ({"LUMEN_STATE_DIR": "~/x", "LUMEN_LOG_DIR": "/x"}, "config", 78, ("LUMEN_STATE_DIR", "~/x")),
    "user-unknown": (
        {"LUMEN_STATE_DIR": "~nobody", "LUMEN_LOG_DIR": "/x"},
        "config",
        78,
        ("LUMEN_STATE_DIR", "~nobody"),
    ),
    "home-of-user-missing": (
        {"LUMEN_LOG_DIR": "~ghost/x", "LUMEN_STATE_DIR": "/x"},
        "config",
        78,
        ("LUMEN_LOG_DIR", "~ghost"),
    ),
    "option": ({"LUMEN_LOG_DIR": "/x"}, "config --state-dir ~nobody", 64, ("--state-dir", "~nobody")),
    "own-home-not-made-yet": ({"HOME": "/missing", "LUMEN_STATE_DIR": "~/x"}, "config", 0, ()),
    "both-set": ({"LUMEN_STATE_DIR": "/x", "LUMEN_LOG_DIR": "/x"}, "config", 0, ()),
}
"""Environment, command line, exit status, words of the line."""


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_an_unknown_home_is_one_line(
    case: Case, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """78 (64 for an option) and the variable to set."""
    environ, line, status, expected = case

    def named(name: str) -> object:
        if name == "ghost":
            return SimpleNamespace(pw_dir=str(tmp_path / "missing"))
        raise KeyError(name)

    monkeypatch.setattr(pwd, "getpwuid", named)
    monkeypatch.setattr(pwd, "getpwnam", named)
    for variable in (*BOTH, "XDG_STATE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in environ.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.chdir(tmp_path)
    assert cli.main(line.split()) == status
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == bool(status)
    assert [word for word in expected if word not in lines[0]] == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not shutil.which("setpriv"), reason="needs setpriv, to become another user")
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become a user without a passwd entry")
def test_a_user_without_a_passwd_entry() -> None:
    """In a container that runs as any user: 78 and one line."""
    if UNKNOWN_UID in {entry.pw_uid for entry in pwd.getpwall()}:
        pytest.skip(f"user {UNKNOWN_UID} exists")
    environ = {name: value for name, value in os.environ.items() if name not in {"HOME", "XDG_STATE_HOME"}}
    become = ["setpriv", f"--reuid={UNKNOWN_UID}", "--clear-groups", sys.executable]
    run = partial(subprocess.run, env=environ, capture_output=True, encoding="utf-8", timeout=LOOK_S, check=False)
    if run([*become, "-c", "import lumen_proxy"]).returncode:
        pytest.skip("this user cannot read the environment of the suite")
    done = run([*become, "-m", "lumen_proxy", "config"])
    assert done.returncode == 78
    (line,) = done.stderr.splitlines()
    assert "LUMEN_STATE_DIR" in line
