"""Names and sentences are plain: none of the words and phrases that were replaced is left."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.fixtures.repository import ROOT

WORDS = """surroundings around facts tell hear told words gone seen places slots watch leash life guard calls asking
    marks cases watching addresses talking telling applying spending spreading inner outer ourselves unready standin
    twin twins sabotage sabotages"""
REPLACED = frozenset(WORDS.split())
"""Words that had a private meaning in names. The field's own nouns and verbs stand in their place."""

ALLOWED = {
    "tool calls of the OpenAI protocol": """_calls calls_are_numbered calls_have_an_index calls_keep_their_index
        complete_calls drop_tool_calls finish_is_tool_calls function_calls in_all_calls in_tool_calls need_valid_calls
        no_empty_tool_calls no_null_tool_calls of_calls require_function_calls require_plain_calls
        require_streamed_calls rewrite_tool_calls test_forwarded_calls
        test_odd_tool_calls test_plain_tool_calls test_scripted_tool_calls
        test_tool_calls test_tool_calls_of_the_past tool_calls tool_calls_of""",
    "calls of a gateway, of a function or of a client library": """ClientCalls calls free_calls max_chat_calls
        max_shared_chat_calls test_a_drain_ends_all_calls test_a_sweep_ends_expired_calls
        test_calls_from_before_the_opening_do_not_decide test_gateway_calls
        test_queued_calls_are_answered_in_order test_the_bound_is_no_larger_than_the_calls""",
    "addresses of a network": """_addresses _machine_addresses _note_dead_addresses addresses list_external_addresses
        test_a_listener_on_all_addresses_is_found_by_a_connect test_a_sandbox_has_its_own_addresses
        test_a_sandbox_keeps_the_configured_addresses test_addresses_are_kept_for_a_short_time test_local_addresses
        test_no_addresses_of_registries test_unrecorded_addresses_are_not_guessed try_addresses""",
    "the audit hook that blocks connections beyond this machine": """GuardLog guard_file lumen_guard
        test_python_with_a_guard_may_start test_python_without_a_guard_is_an_error_of_its_test
        test_the_guard_allows_no_host_by_default test_the_guard_allows_only_the_named_host""",
    "marks of pytest": "applicability_marks marks test_marks_come_from_folder_module_and_id",
    "the command lumen-proxy watch, or the watch mode of an editor": """_watch add_watch start_watch
        test_the_period_is_shown_with_watch_only test_watch_and_diagnose_print_no_control_characters
        test_watch_is_ready_when_its_pattern_matches watch""",
    "test cases": "error_cases",
    "a key of the JSON of lumen-proxy diagnose, which keeps its name": "facts",
}
"""Reason → the names that may have a replaced word, in its ordinary sense."""

PHRASES = (
    r"left in peace",
    r"makes no sense",
    r"which is not seconds from",
    r"(; |\. )mend\b",
    r"cannot be meant",
    r"stories of scenarios",
    r"(is|are) told of",
    r"told by PID",
    r"plays in its sandbox",
    r"alerts go to nobody",
    r"troubles that users have met",
    r"\bthe house\b",
    r"the suite walks",
    r"say nothing of a breaker",
    r"metrics do not tell",
)
"""Phrases that were replaced by sentences that say what happens, as patterns."""

SAME_MEANING = {"Settings": "of the proxy and of the reference server"}
"""Class → what it is in both places."""

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@cache
def tracked(*patterns: str) -> tuple[Path, ...]:
    """The files of the repository that match."""
    command = ["git", "ls-files", "-z", "--", *patterns]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    return tuple(path for name in names if name and (path := ROOT / name).is_file())


def names_of(source: str) -> Iterator[str]:
    """The names that a module gives: classes, functions, parameters (also of lambdas), fields and attributes."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef | FUNCTIONS[0] | FUNCTIONS[1]):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        if isinstance(node, ast.ClassDef):
            yield from fields_of(node)


def fields_of(node: ast.ClassDef) -> Iterator[str]:
    """The names that the body of a class assigns."""
    for statement in node.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        yield from (target.id for target in targets if isinstance(target, ast.Name))


@cache
def split_name(name: str) -> frozenset[str]:
    """The parts of a name in snake or camel case."""
    return frozenset(part.lower() for part in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name))


@cache
def replaced_names() -> frozenset[tuple[str, str]]:
    """File and name, for each name of a folder, module, class, function, parameter or attribute with such a word."""
    paths = {path: path.relative_to(ROOT) for path in tracked("*.py")}
    return frozenset(
        (inside.as_posix(), name)
        for path, inside in paths.items()
        for name in (*inside.parent.parts, inside.stem, *names_of(path.read_text("utf-8")))
        if split_name(name) & REPLACED
    )


def allowed() -> frozenset[str]:
    """All names that may have a replaced word."""
    return frozenset(name for names in ALLOWED.values() for name in names.split())


def test_names() -> None:
    """No folder, module, class, function, parameter or attribute has a replaced word, but the listed ones."""
    found = sorted(each for each in replaced_names() if each[1] not in allowed())
    assert not found, f"rename, or add to ALLOWED with the reason: {found}"


def test_every_exception_is_used() -> None:
    """Each name in the list of exceptions exists."""
    assert allowed() - {name for _, name in replaced_names()} == set()


@pytest.mark.parametrize(
    "source",
    [
        "class Leash: pass",
        "class Kept:\n    facts: int",
        "class Kept:\n    facts = 1",
        "def tell(): pass",
        "async def tell(): pass",
        "def send(*, told): pass",
        "def send(*words): pass",
        "def send(**words): pass",
        "send = lambda seen: seen",
        "self.slots = 1",
        "class Kept:\n    def unready_targets(self): pass",
    ],
)
def test_a_replaced_word_is_found(source: str) -> None:
    """A replaced word is found wherever a module can give a name."""
    assert any(split_name(name) & REPLACED for name in names_of(source))


def test_class_names_are_unique() -> None:
    """No two classes have one name, but those that mean the same thing in two programs."""
    found: dict[str, list[str]] = {}
    for path in tracked("*.py"):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, []).append(path.relative_to(ROOT).as_posix())
    twice = {name: paths for name, paths in found.items() if len(paths) > 1 and name not in SAME_MEANING}
    assert not twice, f"rename one, or add it to SAME_MEANING: {twice}"


def sentences_of(path: Path) -> str:
    """The text of a file in one line: comment signs and line ends are blanks, parts of a literal are joined."""
    text = path.read_text("utf-8")
    constants = ast.walk(ast.parse(text)) if path.suffix == ".py" else ()
    literals = [node.value for node in constants if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return re.sub(r"[\s#*>`]+", " ", "\n".join([text, *literals]))


def phrases_in(text: str) -> list[str]:
    """The patterns that a text has."""
    return [phrase for phrase in PHRASES if re.search(phrase, text, re.IGNORECASE)]


def test_phrases() -> None:
    """No replaced phrase is left in code, messages or docs."""
    kinds = ("py", "md", "toml", "yml", "yaml", "html", "css", "ini", "mjs", "sh", "txt")
    files = [path for path in tracked(*(f"*.{kind}" for kind in kinds), "Makefile") if path != Path(__file__)]
    found = {path.relative_to(ROOT).as_posix(): phrases_in(sentences_of(path)) for path in files}
    assert {path: phrases for path, phrases in found.items() if phrases} == {}


def test_a_phrase_is_found_across_lines(tmp_path: Path) -> None:
    """A phrase is found across lines, in comments, and in a literal of several parts."""
    module, page = tmp_path / "module.py", tmp_path / "page.md"
    module.write_text('# It is left\n# in peace.\nTEXT = ("alerts go "\n        "to nobody")\n', "utf-8")
    page.write_text("## The\nhouse\n", "utf-8")
    assert phrases_in(sentences_of(module)) == ["left in peace", "alerts go to nobody"]
    assert phrases_in(sentences_of(page)) == [r"\bthe house\b"]
