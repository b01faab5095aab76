"""``python -m league [NAME …]``: all servers, and the pages are written; or only those of these names, to look."""

from __future__ import annotations

import sys

from league.judging import outcome_of
from league.pages import appendix, table
from league.servers import ROOT, SERVERS


def main(names: list[str]) -> int:
    """Return 1 when a server could not be judged."""
    outcomes = []
    for server in SERVERS:
        if not names or server.name in names:
            print(f"league: {server.title} {server.version} ...", flush=True)
            outcomes.append(outcome_of(server))
            print(f"league: {dict(outcomes[-1].counts) or outcomes[-1].trouble}", flush=True)
    if not names:
        for name, lines in (("league.md", table(outcomes)), ("league-failures.md", appendix(outcomes))):
            (ROOT / "docs" / name).write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    return int(any(each.trouble for each in outcomes))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
