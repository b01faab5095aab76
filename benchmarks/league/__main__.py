"""``python -m league [NAME …]``: judge all servers and write the pages, or judge only those of these names."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from league import summary
from league.judging import Outcome, outcome_of
from league.launching import ROOT
from league.pages import appendix, table
from league.servers import SERVERS, Server


def main(names: list[str]) -> int:
    """Return 1 when a server could not be judged, 2 when there is none of such a name."""
    known = [server.name for server in SERVERS]
    if unknown := sorted(set(names) - set(known)):
        print(f"league: unknown server {', '.join(unknown)}; expected: {', '.join(known)}", file=sys.stderr)
        return 2
    outcomes = list(_judged([server for server in SERVERS if not names or server.name in names]))
    if not names:
        for name, lines in (("league.md", table(outcomes)), ("league-failures.md", appendix(outcomes))):
            (ROOT / "docs" / name).write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    return int(any(each.trouble for each in outcomes))


def _judged(servers: Sequence[Server]) -> Iterator[Outcome]:
    """Judge one after another; each is in the summary before the next begins."""
    for server in servers:
        print(f"league: {server.title} {server.version} ...", flush=True)
        outcome = outcome_of(server)
        summary.write([outcome])
        print(f"league: {dict(outcome.counts) or outcome.trouble} in {outcome.elapsed_s:.0f} s", flush=True)
        yield outcome


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
