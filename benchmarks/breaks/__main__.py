"""``python -m breaks [CLIENT …]``: ask all clients, or these, then write tiers.json and docs/breaks.md.

``python -m breaks new`` asks all clients of what is not served yet, and keeps the rest of the record; ``python -m
breaks pages`` writes both files from what is kept.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from breaks.page import page
from breaks.record import BreaksRecord
from breaks.run import run
from breaks.selection import selection
from breaks.tiers import as_json, tiers
from tests.contract.clients.client_list import CLIENTS

HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "docs" / "breaks.md"


def main(names: list[str]) -> None:
    """Run what was asked for."""
    if names == ["new"]:
        run(list(CLIENTS), only_new=True)
    elif names != ["pages"]:
        run(names or list(CLIENTS))
    record, selected = BreaksRecord.read(), selection()
    found = tiers(record, selected)
    text = json.dumps(as_json(found), ensure_ascii=False, indent=1)
    (HERE / "tiers.json").write_text(text + "\n", encoding="utf-8", newline="\n")
    lines = page(record, selected, found)
    DOCS.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
