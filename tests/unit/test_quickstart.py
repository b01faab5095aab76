"""What the two guides say is what the program does: commands, options, variables, endpoints, statuses, words."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lumen_conformance.processes.children import WINDOWS
from lumen_proxy import config
from lumen_proxy.cli import main as cli
from lumen_proxy.config import load
from lumen_proxy.errors import Exit
from lumen_proxy.known_issues import NETWORK_ISSUES
from lumen_proxy.monitor import watch
from lumen_proxy.wire.api_errors import PROBLEMS
from lumen_proxy.wire.openai import models
from lumen_proxy.worker.access import OPEN_PATHS
from lumen_proxy.worker.app import Proxy
from tests.unit.guide_troubles import TROUBLES
from tests.unit.guides import GUIDES, NAMES, ROOT, Guide

each_language = pytest.mark.parametrize("guide", GUIDES.values(), ids=GUIDES)
COMMON = {"-h", "--help", "--detached"}  # everywhere; for internal use
NONE = {"none", "없음"}
PLACE = {"the platform's own place", "시스템의 기본 위치"}
WORDS_OF_POWERSHELL_ALONE = ("$env:", ".exe", "Remove-Item", "Stop-Process", "setx", "\\")


def parsers() -> dict[str, argparse.ArgumentParser]:
    """The parser of each command."""
    (commands,) = (a for a in cli._parser()._actions if isinstance(a, argparse._SubParsersAction))  # noqa: SLF001
    return dict(commands.choices)


def options_of(command: str) -> set[str]:
    """The options that a command has for itself, beside those of the settings."""
    of_settings = {"--" + setting.field.replace("_", "-") for setting in config.SETTINGS}
    return {word for action in parsers()[command]._actions for word in action.option_strings} - of_settings - COMMON  # noqa: SLF001


def default_of(setting: config.Setting) -> str | None:
    """How a guide writes a default; None where it is a word of its language."""
    value = setting.default
    if callable(value) or value is None or value == ():
        return None
    return (
        f"`{int(value)}`" if isinstance(value, bool) else f"`{value:g}`" if isinstance(value, float) else f"`{value}`"
    )


@each_language
def test_commands(guide: Guide) -> None:
    """The table has every command, in the program's order, with exactly its own options."""
    rows = guide.table(first="`serve`")
    assert [row[0].strip("`") for row in rows] == list(cli.COMMANDS)
    for command, options, _ in rows:
        assert set(re.findall(r"`(-[^`]+)`", options)) == options_of(command.strip("`"))


@each_language
def test_every_command_line_is_understood(guide: Guide) -> None:
    """Whatever stands behind `lumen-proxy` in a guide, the program takes it."""
    commands = [words for words in guide.our_commands() if words]
    assert len(commands) > 30
    for words in commands:
        cli._parser().parse_args(words)  # noqa: SLF001 - raises for what it does not understand


@each_language
def test_variables(guide: Guide) -> None:
    """The table is the program's: every variable, its option unless it is a secret, its default, its words."""
    rows = guide.table(first="`LUMEN_GATEWAY_URL`")
    assert [row[0].strip("`") for row in rows] == [setting.variable for setting in config.SETTINGS]
    for (_, option, default, accepted, meaning), setting in zip(rows, config.SETTINGS, strict=True):
        words = NONE if setting.secret else {f"`--{setting.field.replace('_', '-')}`"}
        assert option in words, setting.variable
        expected = {default_of(setting)} if default_of(setting) else PLACE if callable(setting.default) else NONE
        assert default in expected, setting.variable
        assert set(setting.parse.words) <= set(re.findall(r"`([^`]+)`", accepted)), setting.variable
        assert meaning


def test_generated_tables_are_up_to_date() -> None:
    """Values, defaults and meanings in the guides and in docs/behaviour.md are those of the program."""
    script = str(ROOT / "docs" / "settings.py")
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_table_that_differs_names_the_command(tmp_path: Path) -> None:
    """A stale copy of the documents is found, and the message says how to make it again."""
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
    """The Korean guide has a text of its own for each."""
    assert all(re.search("[가-힣]", row[-1]) for row in GUIDES["ko"].table(first="`LUMEN_GATEWAY_URL`"))


@each_language
def test_no_variable_is_invented(guide: Guide) -> None:
    """Every name in capitals that looks like a setting is one."""
    named = set(re.findall(r"\b(?:LUMEN|PROXY|CLOUD_AI|SLACK)_[A-Z_]+\b", guide.text))
    assert named <= set(config.BY_VARIABLE)


@each_language
def test_endpoints(guide: Guide) -> None:
    """The table has every route, told whether it needs the key; each also exists without /v1."""
    rules = Proxy(load({})).wsgi.url_map.iter_rules()
    routes = {
        (m, re.sub("<.*>", "{id}", str(rule))) for rule in rules for m in rule.methods or () if m in {"GET", "POST"}
    }
    rows = guide.table(first="POST")
    listed = {(row[0], row[1].strip("`")) for row in rows}
    assert listed | {(method, path.removeprefix("/v1")) for method, path in listed} == routes
    assert {row[1].strip("`") for row in rows if row[2] in {"never", "불필요"}} == OPEN_PATHS


@each_language
def test_error_codes(guide: Guide) -> None:
    """The table has every code with its status and its words."""
    rows = guide.table(first="`invalid_http`")
    assert rows == [(f"`{code}`", str(it.status), it.message.rstrip(".")) for code, it in PROBLEMS.items()]


@each_language
def test_exit_statuses(guide: Guide) -> None:
    """The table has every status by its name."""
    rows = guide.table(first="0")
    assert [(row[0], row[1]) for row in rows] == [(str(int(status)), f"`{status.name}`") for status in Exit]


@each_language
def test_models(guide: Guide) -> None:
    """Each model is named."""
    assert {model["id"] for model in models()["data"]} <= set(re.findall(r"`(lumen-\w+)`", guide.text))


@pytest.mark.skipif(WINDOWS, reason="the guides quote the words of Linux where the system's own words are part of it")
@each_language
@pytest.mark.parametrize(("number", "case"), [*enumerate(TROUBLES, 1)], ids=TROUBLES)
def test_error_texts(guide: Guide, number: int, case: str, tmp_path: Path) -> None:
    """Each of the seven is quoted as the program says it, line by line."""
    quoted = Guide(guide.section(f"5.{number}")).blocks[0][1].splitlines()
    said = TROUBLES[case](tmp_path)
    assert [line.removeprefix("✗ ") for line in quoted] == said
    assert any(f"[{case}]" in line for line in said)


@each_language
def test_network_issues(guide: Guide) -> None:
    """The table has every known issue of networks."""
    assert [row[0].strip("`") for row in guide.table(first="`proxy-407`")] == list(NETWORK_ISSUES)


@each_language
def test_ready_lines(guide: Guide) -> None:
    """The ready lines are those that the editor waits for."""
    tasks = json.loads((ROOT / ".vscode" / "tasks.json").read_text("utf-8"))["tasks"]
    ends = [task["problemMatcher"]["background"]["endsPattern"] for task in tasks if task["isBackground"]]
    (shown,) = (block.splitlines() for _, block in guide.blocks if "ready on" in block)
    assert all(re.search(pattern, line) for pattern, line in zip(ends, shown, strict=True))
    assert shown[1] == f"lumen-proxy: {watch.format_announcement(load({}), 5)}"


@each_language
def test_editor_tasks_and_keys(guide: Guide) -> None:
    """The nine with their keys, groups, and whether they run in the background."""
    tasks = json.loads((ROOT / ".vscode" / "tasks.json").read_text("utf-8"))["tasks"]
    keys = json.loads((ROOT / ".vscode" / "keybindings.sample.json").read_text("utf-8"))
    rows = guide.table(first="Ctrl+Alt+U 1")
    assert [(row[0].lower(), row[1]) for row in rows] == [(key["key"], key["args"]) for key in keys]
    assert not any("ctrl+alt+l" in key["key"] for key in keys), "that locks the screen on some desktops"
    told = [(row[1], row[2], row[3] in {"yes", "예"}) for row in rows]
    *nine, set_up = tasks
    assert told == [(task["label"], task["group"], task["isBackground"]) for task in nine]
    assert set_up["label"] in guide.text


@each_language
def test_bash_and_powershell_side_by_side(guide: Guide) -> None:
    """Both columns are filled, and bash has no words of PowerShell in it."""
    assert len(guide.pairs()) > 20
    for bash, powershell in guide.pairs():
        assert bash
        assert powershell
        assert not any(word in bash for word in WORDS_OF_POWERSHELL_ALONE)
        assert "&&" not in powershell, "PowerShell 5.1 does not know it"


@each_language
def test_files_that_are_named_exist(guide: Guide) -> None:
    """Links and paths lead somewhere."""
    named = set(re.findall(r"`((?:deploy|\.vscode)/[^`]+)`", guide.text)) | set(
        re.findall(r"\]\(([^)#]+)\)", guide.prose)
    )
    assert len(named) >= 8
    assert not [name for name in named if not (ROOT / name).is_file()]


def test_both_languages_have_the_same_structure() -> None:
    """Headings by level and number, blocks by language and content, tables by size, items of the checklist."""
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
    """What stands in backticks is the same in both, but for the words of a language."""
    code = [set(re.findall(r"`([^`\n]+)`", guide.prose)) for guide in GUIDES.values()]
    assert code[0] ^ code[1] == set(), NAMES
