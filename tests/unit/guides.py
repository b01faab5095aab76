"""The two guides, taken apart: headings, fenced blocks, tables, code in the text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAMES = {"en": "QUICKSTART.md", "ko": "QUICKSTART.ko.md"}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TABLE = re.compile(r"(?:^\|.*\|\n)+", re.MULTILINE)
OUR_PROGRAM = re.compile(r"(?:^|;\s*)(?:\S*[/\\]|(?:python3|py -3) -m )?lumen[-_]proxy (?P<words>[^;|]*)")

Row = tuple[str, ...]


@dataclass(frozen=True)
class Guide:
    """One guide; `text` is its Markdown."""

    text: str

    @property
    def prose(self) -> str:
        """What is outside of fenced blocks, whose lines may look like headings."""
        return FENCE.sub("", self.text)

    @property
    def headings(self) -> list[tuple[int, str]]:
        """Level and words."""
        return [(len(hashes), words) for hashes, words in re.findall(r"^(#+) (.+)$", self.prose, re.MULTILINE)]

    @property
    def blocks(self) -> list[tuple[str, str]]:
        """Language and content of each fenced block."""
        return FENCE.findall(self.text)

    @property
    def tables(self) -> list[list[Row]]:
        """Each table as its rows, the head first, the ruler left out."""
        return [
            [_cells(line) for line in table.splitlines() if "|---" not in line] for table in TABLE.findall(self.text)
        ]

    def table(self, *, first: str) -> list[Row]:
        """The rows below the head of the table whose first row below the head begins with this cell."""
        found = [table for table in self.tables if table[1][0] == first]
        assert len(found) == 1, f"{len(found)} tables begin with {first}"
        return found[0][1:]

    def section(self, number: str) -> str:
        """The text below the heading that begins with this number, to the next heading of any level."""
        return re.split(rf"^#+ {re.escape(number)} .*$", self.text, flags=re.MULTILINE)[1].partition("\n#")[0]

    def pairs(self) -> list[tuple[str, str]]:
        """What stands side by side: the cells of bash and of PowerShell."""
        tables = [table for table in self.tables if table[0][-2:] == ("bash", "PowerShell")]
        return [(_code(row[-2]), _code(row[-1])) for table in tables for row in table[1:]]

    def our_commands(self) -> list[list[str]]:
        """The words behind each `lumen-proxy` in a block for a shell, in a table or in the text."""
        lines = [line for language, block in self.blocks if language == "sh" for line in block.splitlines()]
        lines += [code for pair in self.pairs() for code in pair] + re.findall(r"`([^`\n]+)`", self.prose)
        found = [OUR_PROGRAM.search(line.partition("#")[0].strip()) for line in lines]
        return [match["words"].split() for match in found if match]


def _cells(line: str) -> Row:
    return tuple(cell.strip() for cell in line.strip().strip("|").split("|"))


def _code(cell: str) -> str:
    return cell.strip("`")


GUIDES = {language: Guide((ROOT / name).read_text("utf-8")) for language, name in NAMES.items()}
