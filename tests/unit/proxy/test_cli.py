"""Commands, options and exit statuses of the command line."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lumen_conformance.targets.launch import Launcher
from lumen_proxy import __version__, config
from lumen_proxy.cli import main as cli
from lumen_proxy.console import streams


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands of these tests use temporary folders."""
    for variable in ("LUMEN_STATE_DIR", "LUMEN_LOG_DIR"):
        monkeypatch.setenv(variable, str(tmp_path))


STATUSES = [
    ("frobnicate", {}, 64),
    ("serve --frobnicate", {}, 64),
    ("serve extra", {}, 64),
    ("serve --port x", {}, 64),
    ("serve --port", {}, 64),
    ("serve --port 65536", {}, 64),
    ("serve --por 1", {}, 64),
    ("serve --api-key secret", {}, 64),
    ("serve", {"PROXY_PORT": "x"}, 78),
    ("serve", {"LUMEN_TIMEOUT": "5"}, 78),
    ("config", {"LUMEN_TIMEOUT_S": "soon"}, 78),
    ("serve --host 0.0.0.0", {}, 77),
    ("serve", {"PROXY_HOST": "::"}, 77),
    ("stop --port 0", {}, 64),
    ("ps --port 0", {}, 64),
    ("check --venv nowhere", {}, 69),
    ("config", {}, 0),
]


@pytest.mark.parametrize(("line", "environ", "status"), STATUSES, ids=[f"{s}-{x}" for x, _, s in STATUSES])
def test_exit_statuses(
    line: str,
    environ: dict[str, str],
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each exit status has one meaning, and a failure is one line on standard error."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert cli.main(line.split()) == status
    if status not in {0, 69}:
        out, err = capsys.readouterr()
        assert out == ""
        assert re.fullmatch(r"lumen-proxy: [^\n]+\n", err)


@pytest.mark.parametrize("line", ["--help", "--version", *(f"{command} --help" for command in cli.COMMANDS)])
def test_help_is_no_failure(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Help and version are printed to standard output, with 0."""
    with pytest.raises(SystemExit) as end:
        cli.main(line.split())
    assert end.value.code == 0
    assert capsys.readouterr().out


def test_no_command_prints_help(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a command the help is printed to standard output, and the exit status is 64."""
    assert cli.main([]) == 64
    out, err = capsys.readouterr()
    assert err == ""
    assert all(re.search(rf"^ +{command}\s+\S", out, re.MULTILINE) for command in cli.COMMANDS)


def help_of(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    """The output of `--help` of a command."""
    with pytest.raises(SystemExit):
        cli.main([command, "--help"])
    return capsys.readouterr().out


@pytest.mark.parametrize("command", ["", *cli.COMMANDS])
def test_an_unknown_option_names_the_help_of_its_command(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The error for an unknown option names the help of the command."""
    assert cli.main([*command.split(), "--frobnicate"]) == 64
    program = f"lumen-proxy {command}".strip()
    expected = f"lumen-proxy: unrecognized arguments: --frobnicate; see: {program} --help\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_usage_is_one_line(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The usage is one line without the list of options."""
    usage, blank, *_ = help_of(command, capsys).splitlines()
    assert usage.startswith(f"usage: lumen-proxy {command}")
    assert blank == ""


def test_common_options_come_first(capsys: pytest.CaptureFixture[str]) -> None:
    """The options of the command and the common settings come first, then groups of settings."""
    page = help_of("start", capsys)
    headings = re.findall(r"^(\S.*):$", page, re.MULTILINE)
    assert headings[0] == "common options"
    assert len(headings) > 5
    common = page.partition(f"{headings[1]}:")[0]
    assert re.findall(r"^  (?:-h, )?(--[a-z-]+)", common, re.MULTILINE) == [
        "--help", "--sandbox", "--json", "--port", "--host", "--gateway-url",
    ]  # fmt: skip


def test_help_has_values_and_defaults(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The help has each setting that is not a secret, with its values, its default and its variable."""
    monkeypatch.setenv("COLUMNS", "500")
    page = re.sub(r"\n {10,}", " ", help_of("start", capsys))  # the text of a long name is in the next line
    for setting in config.SETTINGS:
        option = f"--{setting.field.replace('_', '-')} "
        lines = [line for line in page.splitlines() if line.strip().startswith(option)]
        assert len(lines) == (0 if setting.secret else 1), setting.variable
        if not setting.secret:
            assert f"[{setting.variable}]" in lines[0]
            assert "default: " in lines[0]
            assert setting.parse.expected in lines[0] or "{" in lines[0]
    assert re.search(r"--history \{fold,last\} .*; default: fold \[LUMEN_HISTORY\]", page)
    assert re.search(r"--fallback \{off,cloud_ai\} .*; default: off ", page)
    assert re.search(r"--timeout-s SECONDS .*seconds between 0.05 and 86400; default: 60 ", page)


def test_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` prints the version of the package."""
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"lumen-proxy {__version__}\n"


def test_config_lists_every_setting_and_no_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`config` lists each setting with its value, masked if secret, and its origin."""
    monkeypatch.setenv("PROXY_API_KEY", "canary-key")
    monkeypatch.setenv("LUMEN_DRAIN_S", "3")
    assert cli.main(["config", "--json", "--port", "1234"]) == 0
    out = capsys.readouterr().out
    listed = {row["variable"]: row for row in json.loads(out)["settings"]}
    assert set(listed) == set(config.BY_VARIABLE)
    assert "canary-key" not in out
    assert (listed["PROXY_API_KEY"]["value"], listed["PROXY_API_KEY"]["origin"]) == ("(secret)", "environment")
    assert (listed["LUMEN_DRAIN_S"]["value"], listed["LUMEN_DRAIN_S"]["origin"]) == (3.0, "environment")
    assert (listed["PROXY_PORT"]["value"], listed["PROXY_PORT"]["origin"]) == (1234, "option")
    assert (listed["LUMEN_QUEUE_TIMEOUT_S"]["value"], listed["LUMEN_QUEUE_TIMEOUT_S"]["origin"]) == (5.0, "default")
    assert cli.main(["config"]) == 0
    shown = capsys.readouterr().out
    assert "canary-key" not in shown
    assert re.search(r"^LUMEN_DRAIN_S +3  \[environment\]$", shown, re.MULTILINE)  # as it may be typed
    assert re.search(r"^LUMEN_MODEL_STRICT +0  \[default\]$", shown, re.MULTILINE)


def test_a_module_that_is_missing_later_is_69(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A module that is missing at a later import also ends with 69."""
    monkeypatch.setitem(sys.modules, "platformdirs", None)
    monkeypatch.delenv("LUMEN_STATE_DIR")
    assert cli.main(["config"]) == 69
    assert "platformdirs" in capsys.readouterr().err


def test_the_supervisor_imports_only_what_it_needs() -> None:
    """Neither Flask, alerts and checks of the environment nor, before the first worker boots, psutil or HTTP."""
    code = (
        "import sys; import lumen_proxy.cli.main, lumen_proxy.supervisor.serve; "
        "sys.exit(', '.join({'flask', 'waitress', 'psutil', 'requests', 'asyncio', 'http.client', 'ctypes', "
        "'platformdirs'} & set(sys.modules) "
        "| {m for m in sys.modules if m.endswith(('preflight', 'alarm', 'alerts'))}) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("encoding", ["cp949", "cp1252", "ascii"])
def test_unencodable_text_is_replaced(launch: Launcher, encoding: str) -> None:
    """Characters that the console cannot encode are replaced, and no command fails."""
    done = launch.run("check", "--venv", "환경-🌙", env={"PYTHONIOENCODING": encoding})
    assert done.exit_status == 69
    assert "PROBLEM" in done.stdout
    assert done.stderr == ""


def test_glyphs_depend_on_the_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Code page 949 has ● and not 🟢; ASCII has neither."""
    found = {}
    for encoding in ("cp949", "ascii", "utf-8"):
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding))
        found[encoding] = (streams.choose_glyph("●", "*"), streams.choose_glyph("🟢", "o"))
    assert found == {"cp949": ("●", "o"), "ascii": ("*", "o"), "utf-8": ("●", "🟢")}


@pytest.mark.skipif(sys.platform == "win32", reason="needs bash")
@pytest.mark.parametrize("line", ["config", "--version", "--help"])
def test_a_closed_output_is_no_failure(line: str) -> None:
    """A closed pipe and a closed stream do not change the exit status."""
    for where in ("| true", ">&- 2>&-"):
        command = f'"{sys.executable}" -m lumen_proxy {line} {where}'
        pipeline = ["bash", "-c", f"set -o pipefail; {command}"]
        done = subprocess.run(pipeline, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), where


def test_the_console_log_has_a_limit(tmp_path: Path) -> None:
    """The console log of a background instance does not grow beyond its limit."""
    code = (
        "from lumen_proxy.console import streams; notify = streams.notify_in_log(1000); "
        "[notify(f'line {number} ' + 'x' * 50) for number in range(100)]; notify('the last one')"
    )
    log = tmp_path / "console.log"
    with log.open("ab") as errors:
        subprocess.run([sys.executable, "-c", code], stderr=errors, check=True)
    content = log.read_bytes()
    assert len(content) < 1100
    assert content.endswith(b"lumen-proxy: the last one\n")
    assert b"\x00" not in content


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not delete a file that is open")
def test_a_deleted_console_log_is_created_again(tmp_path: Path) -> None:
    """After the folder was deleted, the next line is in a new file."""
    log = tmp_path / "log" / "console-8080.log"
    code = (
        f"import pathlib, shutil; from lumen_proxy.console import streams; path = pathlib.Path({str(log)!r}); "
        "notify = streams.notify_in_log(1000, path); notify('before'); shutil.rmtree(path.parent); notify('after')"
    )
    log.parent.mkdir()
    with log.open("ab") as errors:
        subprocess.run([sys.executable, "-c", code], stderr=errors, check=True)
    assert log.read_text() == "lumen-proxy: after\n"


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (ValueError("a\nb"), 70, "internal error: ValueError('a\\nb')"),
        (PermissionError(13, "Permission denied", "/x"), 71, "/x: Permission denied"),
        (KeyboardInterrupt(), 70, "interrupted"),
    ],
    ids=["defect", "system", "interrupt"],
)
def test_no_error_becomes_a_traceback(
    error: BaseException,
    status: int,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An internal error is one line, not a traceback."""

    def fail(_: object) -> int:
        raise error

    monkeypatch.setitem(cli.COMMANDS, "config", (fail, cli.COMMANDS["config"][1]))
    assert cli.main(["config"]) == status
    assert capsys.readouterr().err.startswith(f"lumen-proxy: {text}")
