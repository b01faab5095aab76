"""The parts of the two guides: headings, fenced blocks, tables, code in the text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAMES = {"en": "QUICKSTART.md", "ko": "QUICKSTART.ko.md"}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TABLE = re.compile(r"(?:^\|.*\|\n)+", re.MULTILINE)
PROGRAM = re.compile(r"(?:^|;\s*)(?:\S*[/\\]|(?:python3|py -3) -m )?lumen[-_]proxy (?P<arguments>[^;|]*)")

Row = tuple[str, ...]


@dataclass(frozen=True)
class Guide:
    """One guide; `text` is its Markdown."""

    text: str

    @property
    def prose(self) -> str:
        """The text outside of fenced blocks, whose lines may look like headings."""
        return FENCE.sub("", self.text)

    @property
    def headings(self) -> list[tuple[int, str]]:
        """Level and text of each heading."""
        return [(len(hashes), words) for hashes, words in re.findall(r"^(#+) (.+)$", self.prose, re.MULTILINE)]

    @property
    def blocks(self) -> list[tuple[str, str]]:
        """Language and content of each fenced block."""
        return FENCE.findall(self.text)

    @property
    def tables(self) -> list[list[Row]]:
        """Each table as its rows, the heading first."""
        return [
            [_cells(line) for line in table.splitlines() if "|---" not in line] for table in TABLE.findall(self.text)
        ]

    def table(self, *, first: str) -> list[Row]:
        """The rows of the table whose first row begins with this cell, without the heading."""
        found = [table for table in self.tables if table[1][0] == first]
        assert len(found) == 1, f"{len(found)} tables begin with {first}"
        return found[0][1:]

    def section(self, number: str) -> str:
        """The text from the heading with this number to the next heading."""
        return re.split(rf"^#+ {re.escape(number)} .*$", self.text, flags=re.MULTILINE)[1].partition("\n#")[0]

    def pairs(self) -> list[tuple[str, str]]:
        """The cells of bash and of PowerShell that belong together."""
        tables = [table for table in self.tables if table[0][-2:] == ("bash", "PowerShell")]
        return [(_code(row[-2]), _code(row[-1])) for table in tables for row in table[1:]]

    def commands(self) -> list[list[str]]:
        """The arguments of each `lumen-proxy` command in a block, in a table or in the text."""
        lines = [line for language, block in self.blocks if language == "sh" for line in block.splitlines()]
        lines += [code for pair in self.pairs() for code in pair] + re.findall(r"`([^`\n]+)`", self.prose)
        found = [PROGRAM.search(line.partition("#")[0].strip()) for line in lines]
        return [match["arguments"].split() for match in found if match]


def _cells(line: str) -> Row:
    return tuple(cell.strip() for cell in line.strip().strip("|").split("|"))


def _code(cell: str) -> str:
    return cell.strip("`")


GUIDES = {language: Guide((ROOT / name).read_text("utf-8")) for language, name in NAMES.items()}
