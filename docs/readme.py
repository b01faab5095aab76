"""Write tables and figures of the README and of the pages in `TABLES`; part of `make docs`.

A table stands between ``<!-- NAME: begin -->`` and ``<!-- NAME: end -->``, a figure between ``<!-- NAME -->`` and
``<!-- /NAME -->``. Measured figures come from the files that the commands of `benchmarks/` write.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

from docs.architecture import drawing, sizes
from lumen_conformance.cli.list_checks import read
from lumen_conformance.report.selection import SEVENTEEN
from tests.contract.clients.client_list import CLIENTS, Client
from tests.fixtures.faults.catalogue import FAULTS
from tests.mutants.tables import tables

ROOT: Final = Path(__file__).resolve().parents[1]


def seventeen() -> Iterator[str]:
    """Yield the checks of the four scenarios with their claims."""
    yield from ("| check | claim |", "|---|---|")
    numbers = {check["id"].partition("-")[0]: check for check in read() if check["suite"] == "recovery"}
    yield from (f"| {numbers[number]['id']} | {numbers[number]['claim']} |" for number in sorted(SEVENTEEN))


def recovery() -> Iterator[str]:
    """Yield all checks of recovery with their claims and sources."""
    yield from ("| check | tier | claim | source |", "|---|---|---|---|")
    checks = (check for check in read() if check["suite"] == "recovery")
    yield from (f"| {each['id']} | {each['tier']} | {each['claim']} | {each['source']} |" for each in checks)


def unproven() -> Iterator[str]:
    """Yield the number of checks that no fault and no mutant fails."""
    yield str(sum(not (check["faults"] or check["mutants"]) for check in read()))


def clients() -> Iterator[str]:
    """Yield the real clients with their releases."""
    yield from ("| client | language | releases |", "|---|---|---|")
    yield from (f"| {name} | {client.language} | {_releases(client)} |" for name, client in CLIENTS.items())


def clients_in_detail() -> Iterator[str]:
    """Yield the real clients with what else is tried, and where they fall short."""
    yield from ("| client | language | releases | also tried | falls short |", "|---|---|---|---|---|")
    for name, client in CLIENTS.items():
        yield f"| {name} | {client.language} | {_releases(client)} | {client.also} | {client.short} |"


def _releases(client: Client) -> str:
    return ", ".join(f"{package} {version}" for package, version in client.releases.items())


def speed() -> Iterator[str]:
    """Yield what was measured, with the command that measures it again."""
    stability, agreement = _measured("stability"), _measured("agreement")
    endurance, latency = _measured("endurance"), _measured("latency_ratio")
    quiet, busy = (stability["seconds"][load]["median"] for load in ("quiet", "busy"))
    walls_s = [run["wall_s"] for run in agreement["runs"] if run["way"] == "as make contract"]
    ratios = [f"{row['ratio']:.2f}" for row in latency["rows"]]
    yield from ("| what | measured | command |", "|---|---|---|")
    yield (
        f"| {stability['runs']} runs of `pytest -m recovery` in a row, half of them on busy cores "
        f"| {stability['green']} green; median {quiet:.0f} s quiet, {busy:.0f} s busy; beside {stability['beside']} "
        "| `make stability` |"
    )
    yield (
        f"| the contract, run {len(agreement['runs'])} times (alone, in parallel, in random orders) "
        "| the same verdict for "
        f"{agreement['checks'] - len(agreement['differing']):,} of {agreement['checks']:,} checks"
        + (f"; {min(walls_s):.0f} to {max(walls_s):.0f} s as `make contract`" if walls_s else "")
        + " | `make agreement` |"
    )
    yield (
        "| latency that the proxy adds to a chat, this version ÷ the one before "
        f"| {ratios[0]} with 1 client, {ratios[1]} with 16, "
        f"{ratios[2]} with a new connection for each call | `python benchmarks/latency_ratio.py OLD NEW` |"
    )
    first, last = endurance["descriptors"]
    yield (
        f"| {endurance['requests']:,} questions to one worker "
        f"| {endurance['failed']} failed, memory +{endurance['growth_mib']:.1f} MiB, "
        f"descriptors {first} before and {last} after | `python benchmarks/endurance.py` |"
    )
    pages = _measured("report_page")
    for row in pages["rows"]:
        share = row["write_s"] / row["run_s"]
        yield (
            f"| the page of {row['tests']:,} tests, {row['failed']} failed, at a load of {pages['load']:g} "
            f"| {row['bytes'] / 1_000_000:.1f} MB, usable after {row['usable_s']:.1f} s, "
            f"written in {share:.0%} of the time of the run | `python benchmarks/report_page.py RECORD...` |"
        )


def _measured(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "benchmarks" / f"{name}.json").read_text("utf-8"))
    return found


Parts = dict[str, Callable[[], Iterable[str]]]
TABLES: Final[dict[str, Parts]] = {
    "README.md": {"seventeen": seventeen, "clients": clients, "speed": speed},
    "docs/clients.md": {"clients": clients_in_detail},
    "docs/recovery-checks.md": {"recovery": recovery},
    "docs/mutants.md": {"mutants": tables},
    "docs/architecture.md": {
        "layers-of-the-suite": partial(drawing, "lumen_conformance"),
        "layers-of-the-proxy": partial(drawing, "lumen_proxy"),
        "sizes": sizes,
    },
}
FIGURES: Final[dict[str, Parts]] = {
    "README.md": {"checks": lambda: [str(len(read()))], "faults": lambda: [str(len(FAULTS))], "unproven": unproven},
}


def filled(page: str, text: str) -> str:
    """Return a page with its tables and figures as they should be; raises ValueError for a missing place."""
    for name, table in TABLES[page].items():
        rows = "".join(f"{row}\n" for row in table())
        text = _replaced(text, f"<!-- {name}: begin -->\n", rows, f"<!-- {name}: end -->")
    for name, figure in FIGURES.get(page, {}).items():
        text = _replaced(text, f"<!-- {name} -->", "".join(figure()), f"<!-- /{name} -->")
    return text


def _replaced(text: str, begin: str, content: str, end: str) -> str:
    pattern = f"{re.escape(begin)}.*?{re.escape(end)}"
    found, number = re.subn(pattern, lambda _: begin + content + end, text, flags=re.DOTALL)
    if not number:
        raise ValueError(f"no {begin.strip()} with a {end} behind it")
    return found


def main() -> int:
    """Write the pages, or only compare them; 1 when one differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail if a table or figure differs")
    args = parser.parse_args()
    differing = 0
    for page in TABLES:
        before = (ROOT / page).read_text("utf-8")
        after = filled(page, before)
        if after != before and args.check:
            differing = 1
            print(f"{page} differs from what it describes; run: make docs", file=sys.stderr)  # noqa: T201 -- a script
        elif after != before:
            (ROOT / page).write_text(after, encoding="utf-8", newline="\n")
            print(f"wrote {page}")  # noqa: T201 -- a command says what it did
    return differing


if __name__ == "__main__":
    sys.exit(main())
