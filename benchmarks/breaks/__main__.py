"""``python -m breaks``: all clients, then record.json, tiers.json and docs/breaks.md are written.

``python -m breaks pages`` writes the last two from the record that is kept; ``python -m breaks openai llm`` only looks.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

from breaks.page import page
from breaks.record import HERE, Record
from breaks.run import run
from breaks.selection import selection
from breaks.tiers import tiers
from tests.contract.clients.rows import CLIENTS

DOCS = HERE.parents[1] / "docs" / "breaks.md"


def main(names: list[str]) -> None:
    """Run what was asked for."""
    if names == ["pages"]:
        write(Record.read())
        return
    servers = [each.name for each in selection()]
    record = Record.of(servers, run(names or list(CLIENTS), servers))
    if names:
        print("\n".join(_lines(record)))
        return
    record.keep()
    write(record)


def write(record: Record) -> None:
    """Write what follows from a record."""
    found = tiers(record, selection())
    kept = {
        check: {"tier": tier.tier, "today": tier.today, "evidence": tier.evidence, "harmless": list(tier.harmless)}
        for check, tier in found.items()
    }
    text = json.dumps(kept, ensure_ascii=False, indent=1)
    (HERE / "tiers.json").write_text(text + "\n", encoding="utf-8", newline="\n")
    lines = page(record, selection(), found)
    DOCS.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def _lines(record: Record) -> Iterator[str]:
    for client, servers in record.found.items():
        for server, acts in servers.items():
            for act, told in acts.items():
                yield from (f"{client} | {server} | {act} | {each.kind} | {each.text}" for each in told)


if __name__ == "__main__":
    main(sys.argv[1:])
