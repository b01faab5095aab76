"""The two guides agree with the program: commands, options, variables, endpoints, statuses, texts."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lumen_conformance.processes.child_process import WINDOWS
from lumen_proxy import config
from lumen_proxy.cli import main as cli
from lumen_proxy.config import load
from lumen_proxy.errors import Exit
from lumen_proxy.health.known_issues import NETWORK_ISSUES
from lumen_proxy.monitor import watch
from lumen_proxy.wire.openai import models
from lumen_proxy.worker.access import OPEN_PATHS
from lumen_proxy.worker.app import Proxy
from tests.unit.guide_troubles import OUTPUTS
from tests.unit.guides import GUIDES, NAMES, ROOT, Guide

each_language = pytest.mark.parametrize("guide", GUIDES.values(), ids=GUIDES)
COMMON = {"-h", "--help", "--detached", "--take-over"}  # of each command; internal
NONE = {"none", "없음"}
DEFAULT_FOLDER = {"the platform's own place", "시스템의 기본 위치"}
POWERSHELL_SYNTAX = ("$env:", ".exe", "Remove-Item", "Stop-Process", "setx", "\\")


def parsers() -> dict[str, argparse.ArgumentParser]:
    """The parser of each command."""
    (commands,) = (a for a in cli._parser()._actions if isinstance(a, argparse._SubParsersAction))  # noqa: SLF001
    return dict(commands.choices)


def options_of(command: str) -> set[str]:
    """The options of a command without those of the settings."""
    setting_options = {"--" + setting.field.replace("_", "-") for setting in config.SETTINGS}
    return {word for action in parsers()[command]._actions for word in action.option_strings} - setting_options - COMMON  # noqa: SLF001


def default_of(setting: config.Setting) -> str | None:
    """A default as the guides write it; None if it is a word of the language."""
    value = setting.default
    if callable(value) or value is None or value == ():
        return None
    return (
        f"`{int(value)}`" if isinstance(value, bool) else f"`{value:g}`" if isinstance(value, float) else f"`{value}`"
    )


@each_language
def test_commands(guide: Guide) -> None:
    """The table has each command in the order of the program, with its own options."""
    rows = guide.table(first="`serve`")
    assert [row[0].strip("`") for row in rows] == list(cli.COMMANDS)
    for command, options, _ in rows:
        assert set(re.findall(r"`(-[^`]+)`", options)) == options_of(command.strip("`"))


@each_language
def test_each_command_line_is_valid(guide: Guide) -> None:
    """The program accepts each command line of a guide."""
    commands = [words for words in guide.commands() if words]
    assert len(commands) > 30
    for words in commands:
        cli._parser().parse_args(words)  # noqa: SLF001 - raises for what it does not understand


@each_language
def test_variables(guide: Guide) -> None:
    """The table has each variable with its option, its default and its values."""
    rows = guide.table(first="`LUMEN_GATEWAY_URL`")
    assert [row[0].strip("`") for row in rows] == [setting.variable for setting in config.SETTINGS]
    for (_, option, default, accepted, meaning), setting in zip(rows, config.SETTINGS, strict=True):
        words = NONE if setting.secret else {f"`--{setting.field.replace('_', '-')}`"}
        assert option in words, setting.variable
        expected = (
            {default_of(setting)} if default_of(setting) else DEFAULT_FOLDER if callable(setting.default) else NONE
        )
        assert default in expected, setting.variable
        assert set(setting.parse.choices) <= set(re.findall(r"`([^`]+)`", accepted)), setting.variable
        assert meaning


def test_generated_tables_are_up_to_date() -> None:
    """Values, defaults and meanings in the guides and in docs/behaviour.md are those of the program."""
    script = str(ROOT / "docs" / "settings.py")
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_table_that_differs_names_the_command(tmp_path: Path) -> None:
    """An outdated table is reported with the command that generates it."""
    for name in (*NAMES.values(), "docs/behaviour.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        text = (ROOT / name).read_text("utf-8")
        (tmp_path / name).write_text(text.replace("`fold`", "`folded`"), "utf-8")
    script = [sys.executable, str(ROOT / "docs" / "settings.py"), "--root", str(tmp_path)]
    done = subprocess.run([*script, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"{name} differs from the program's settings; run: make docs" for name in NAMES.values()
    ]
    subprocess.run(script, check=True)
    assert (tmp_path / NAMES["ko"]).read_bytes() == (ROOT / NAMES["ko"]).read_bytes()


def test_meanings_of_variables() -> None:
    """The Korean guide has a Korean text for each variable."""
    assert all(re.search("[가-힣]", row[-1]) for row in GUIDES["ko"].table(first="`LUMEN_GATEWAY_URL`"))


@each_language
def test_no_variable_is_invented(guide: Guide) -> None:
    """Each name in a guide that looks like a setting is one."""
    named = set(re.findall(r"\b(?:LUMEN|PROXY|CLOUD_AI|SLACK)_[A-Z_]+\b", guide.text))
    assert named <= set(config.BY_VARIABLE)


@each_language
def test_endpoints(guide: Guide) -> None:
    """The table has each route and whether it needs the key; each also exists without /v1."""
    rules = Proxy(load({})).wsgi.url_map.iter_rules()
    routes = {
        (m, re.sub("<.*>", "{id}", str(rule))) for rule in rules for m in rule.methods or () if m in {"GET", "POST"}
    }
    rows = guide.table(first="POST")
    listed = {(row[0], row[1].strip("`")) for row in rows}
    assert listed | {(method, path.removeprefix("/v1")) for method, path in listed} == routes
    assert {row[1].strip("`") for row in rows if row[2] in {"never", "불필요"}} == OPEN_PATHS


@each_language
def test_exit_statuses(guide: Guide) -> None:
    """The table has each exit status with its name."""
    rows = guide.table(first="0")
    assert [(row[0], row[1]) for row in rows] == [(str(int(status)), f"`{status.name}`") for status in Exit]


@each_language
def test_models(guide: Guide) -> None:
    """Each guide names each model."""
    assert {model["id"] for model in models()["data"]} <= set(re.findall(r"`(lumen-\w+)`", guide.text))


@pytest.mark.skipif(WINDOWS, reason="the guides quote error texts of Linux")
@each_language
@pytest.mark.parametrize(("number", "case"), [*enumerate(OUTPUTS, 1)], ids=OUTPUTS)
def test_error_texts(guide: Guide, number: int, case: str, tmp_path: Path) -> None:
    """Each quoted output of the seven known issues is that of the program."""
    quoted = Guide(guide.section(f"5.{number}")).blocks[0][1].splitlines()
    output = OUTPUTS[case](tmp_path)
    assert [line.removeprefix("✗ ") for line in quoted] == output
    assert any(f"[{case}]" in line for line in output)


@each_language
def test_network_issues(guide: Guide) -> None:
    """The table has each known issue of networks."""
    assert [row[0].strip("`") for row in guide.table(first="`proxy-407`")] == list(NETWORK_ISSUES)


@each_language
def test_ready_lines(guide: Guide) -> None:
    """The ready lines are those for which the editor waits."""
    tasks = json.loads((ROOT / ".vscode" / "tasks.json").read_text("utf-8"))["tasks"]
    ends = [task["problemMatcher"]["background"]["endsPattern"] for task in tasks if task["isBackground"]]
    (shown,) = (block.splitlines() for _, block in guide.blocks if "ready on" in block)
    assert all(re.search(pattern, line) for pattern, line in zip(ends, shown, strict=True))
    assert shown[1] == f"lumen-proxy: {watch.format_announcement(load({}), 5)}"


@each_language
def test_editor_tasks_and_keys(guide: Guide) -> None:
    """The table has the nine tasks with their keys, groups and background flags."""
    tasks = json.loads((ROOT / ".vscode" / "tasks.json").read_text("utf-8"))["tasks"]
    keys = json.loads((ROOT / ".vscode" / "keybindings.sample.json").read_text("utf-8"))
    rows = guide.table(first="Ctrl+Alt+U 1")
    assert [(row[0].lower(), row[1]) for row in rows] == [(key["key"], key["args"]) for key in keys]
    assert not any("ctrl+alt+l" in key["key"] for key in keys), "that locks the screen on some desktops"
    listed = [(row[1], row[2], row[3] in {"yes", "예"}) for row in rows]
    *nine, set_up = tasks
    assert listed == [(task["label"], task["group"], task["isBackground"]) for task in nine]
    assert set_up["label"] in guide.text


@each_language
def test_bash_and_powershell_side_by_side(guide: Guide) -> None:
    """Both columns have a command, and that of bash has no PowerShell syntax."""
    assert len(guide.pairs()) > 20
    for bash, powershell in guide.pairs():
        assert bash
        assert powershell
        assert not any(word in bash for word in POWERSHELL_SYNTAX)
        assert "&&" not in powershell, "PowerShell 5.1 does not support it"


@each_language
def test_files_that_are_named_exist(guide: Guide) -> None:
    """Links and paths in the guides exist."""
    named = set(re.findall(r"`((?:deploy|\.vscode)/[^`]+)`", guide.text)) | set(
        re.findall(r"\]\(([^)#]+)\)", guide.prose)
    )
    assert len(named) >= 8
    assert not [name for name in named if not (ROOT / name).is_file()]


def test_both_languages_have_the_same_structure() -> None:
    """Both guides have the same headings, blocks, tables and checklist items."""
    english, korean = GUIDES["en"], GUIDES["ko"]
    numbers = [[(level, re.match(r"[\d.]*", words)[0]) for level, words in g.headings] for g in (english, korean)]  # type: ignore[index]
    assert numbers[0] == numbers[1]
    assert [language for language, _ in english.blocks] == [language for language, _ in korean.blocks]
    assert [_without_comments(block) for _, block in english.blocks] == [_without_comments(b) for _, b in korean.blocks]
    assert [[len(row) for row in table] for table in english.tables] == [[len(r) for r in t] for t in korean.tables]
    assert english.pairs() == korean.pairs()
    assert english.text.count("- [ ] ") == korean.text.count("- [ ] ") >= 10


def _without_comments(block: str) -> list[str]:
    return [line.partition("  #")[0].rstrip() for line in block.splitlines()]


def test_both_languages_name_the_same_code() -> None:
    """Both guides have the same code in backticks."""
    code = [set(re.findall(r"`([^`\n]+)`", guide.prose)) for guide in GUIDES.values()]
    assert code[0] ^ code[1] == set(), NAMES
