"""Characters that a terminal or an editor obeys are shown in every output, whatever part of a report they are in."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from lumen_conformance.registry.visible_text import visible
from tests.fixtures.nested_pytest import stage

OBEYED = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
IN_JSON = re.compile(r"\\u(00[019]|202[a-e]|206[6-9])")
MODULES = {
    "contract/test_one.py": r'''
        """One."""
        from lumen_conformance.registry import expect
        TEXT = "shown \x1b[2J \x9b1m \u202e \u2069"
        @check("A1-found")
        def test_found():
            """A failure has it."""
            expect(False, "a", TEXT)
        @check("A2-reason", tier="W")
        def test_reason(warn, evidence_path, tmp_path):
            """A warning, a log and the output of a test have it."""
            warn(TEXT)
            print(TEXT)
            (tmp_path / "server.log").write_text(TEXT, "utf-8")
            evidence_path(tmp_path / "server.log")
        @check("A3-skip")
        def test_skip():
            """The reason of a skip has it."""
            pytest.skip(TEXT)
    ''',
}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31m\x07\x7f", r"\x1b[31m\x07\x7f"),
        ("\x85\x9b", r"\x85\x9b"),
        ("\u202a\u202e\u2066\u2069", r"\u202a\u202e\u2066\u2069"),
        ("\ud800", r"\ud800"),
        ("a\rb\r\n\tc\n", "a\\rb\r\n\tc\n"),
        ("한글 😀 \u200d \u2028", "한글 😀 \u200d \u2028"),
    ],
)
def test_which_characters_are_escaped(text: str, shown: str) -> None:
    """Controls, changes of the direction and half surrogate pairs are escaped; line ends and other texts stay."""
    assert visible(text) == shown


def test_no_output_has_them(tmp_path: Path) -> None:
    """Terminal, page, JUnit, verdicts, record and Markdown show the escape instead of the character."""
    files = {"--junit-xml": "junit.xml", "--record": "record.jsonl", "--github-summary": "summary.md"}
    ended = stage(tmp_path, MODULES, "-rA", *(f"{option}={name}" for option, name in files.items()))
    written = {
        name: (tmp_path / name).read_text("utf-8") for name in (*files.values(), "verdicts.jsonl", "summary.json")
    }
    for name, text in {"page": ended.html, "terminal": ended.output, **written}.items():
        assert r"x1b[2J \x9b1m \u202e".replace("\\", "") in text.replace("\\", ""), f"{name} has no such text"
        assert OBEYED.findall(text) == [], name
        assert not name.endswith(".jsonl") or IN_JSON.findall(text.replace(r"\\", "")) == [], name
    assert IN_JSON.findall(json.dumps(ended.data).replace(r"\\", "")) == []
