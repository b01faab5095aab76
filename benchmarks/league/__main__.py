"""``python -m league``: judge all servers and write the pages.

``python -m league NAME …`` judges those of these names; ``python -m league pages`` writes the pages from the last
outcome of each server that was judged here. What the pages say about another server stays.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from league import summary
from league.launcher import ROOT
from league.pages import Earlier, appendix, table
from league.runs import outcome_of
from league.servers import SERVERS, LeagueServer

PAGES = "pages"


def main(names: Sequence[str]) -> int:
    """Return 1 when a server could not be judged, 2 when there is none of such a name."""
    known = [server.name for server in SERVERS]
    if unknown := sorted(set(names) - {*known, PAGES}):
        print(f"league: unknown server {', '.join(unknown)}; expected: {', '.join(known)}", file=sys.stderr)
        return 2
    troubles = [judge(server) for server in SERVERS if not names or server.name in names]
    if not names or PAGES in names:
        write_pages()
    return int(any(troubles))


def judge(server: LeagueServer) -> str:
    """Judge one server, and write its line of the summary before the next begins; return the error, if any."""
    print(f"league: {server.title} {server.version} ...", flush=True)
    outcome = outcome_of(server)
    summary.write(outcome)
    print(f"league: {dict(outcome.counts) or outcome.trouble} in {outcome.elapsed_s:.0f} s", flush=True)
    return outcome.trouble


def write_pages() -> None:
    """Write docs/league.md and docs/league-failures.md."""
    outcomes = {each.server.name: each for each in summary.outcomes()}
    for name, write in (("league.md", table), ("league-failures.md", appendix)):
        page = ROOT / "docs" / name
        lines = write([outcomes.get(server.name) or Earlier(server, page.read_text("utf-8")) for server in SERVERS])
        page.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
