"""docs/breaks.md: who breaks on what, the evidence for each check of tier M, and what has none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby, takewhile
from pathlib import Path

from breaks.record import Record
from breaks.selection import Served
from breaks.tiers import Tier, moves, today

HEAD = Path(__file__).parent / "head.md"
NOTICED = "·"  # in a cell: something differs, nothing breaks
FEW = 3  # more ids than these with the same evidence are told by what they have in common


def page(record: Record, selected: Iterable[Served], found: Mapping[str, Tier]) -> Iterator[str]:
    """Yield the page, line by line."""
    faults = [served for served in selected if served.fault.check]
    shown = [served for served in faults if record.has(served.name)]
    yield HEAD.read_text("utf-8")
    yield from _counts(found)
    yield "## Clients\n"
    yield from (f"- {name}: {text}" for name, text in record.clients.items())
    yield "\n## Who breaks on what\n"
    yield from _table(record, shown)
    if new := [served.name for served in faults if served not in shown]:
        yield f"\nNot served yet: {', '.join(new)}."
    yield "\n## The evidence for each check of tier M\n"
    yield from _evidence((check, tier) for check, tier in found.items() if tier.tier == "M")
    yield "\n## What changes\n"
    yield from _evidence(moves(found), moved=True)
    yield "\n## Faults of these checks that break nobody\n"
    yield from _harmless(found)


def _counts(found: Mapping[str, Tier]) -> Iterator[str]:
    """How many checks have tier M today, by this evidence, and by parts of checks that are proposed as new ones."""
    before = sum(tier == "M" for tier in today().values())
    held = [tier for tier in found.values() if tier.tier == "M" and tier.today]
    new = sum(not tier.today for tier in found.values())
    kinds = Counter(tier.evidence.partition(":")[0] for tier in held)
    told = ", ".join(f"{kinds[kind]} by {name}" for kind, name in KINDS.items() if kinds[kind])
    yield f"Checks of tier M: {before} before, {len(held)} with this evidence ({told}), and {new} that are split off.\n"


KINDS = {"client": "a client of this run", "recorded": "a recorded client", "harm": "harm"}


def _table(record: Record, shown: Iterable[Served]) -> Iterator[str]:
    clients = list(record.clients)
    yield f"| fault | check | {' | '.join(clients)} |"
    yield f"|---|---|{'---|' * len(clients)}"
    nobody = []
    for served in sorted(shown, key=lambda each: (each.fault.check, each.name)):
        cells = [_cell(record, client, served.name) for client in clients]
        if any(cell not in {"", NOTICED} for cell in cells):
            yield f"| {served.name} | {served.fault.check} | {' | '.join(cells)} |"
        else:
            nobody.append(f"{served.name} ({served.fault.check})")
    yield f"\nNobody breaks on: {', '.join(nobody)}."


def _cell(record: Record, client: str, server: str) -> str:
    if broken := record.words(client, server, "breaks"):
        return ", ".join(dict.fromkeys(each.word for each in broken))
    return NOTICED if record.words(client, server, "differs") else ""


def _evidence(rows: Iterable[tuple[str, Tier]], *, moved: bool = False) -> Iterator[str]:
    """One line for checks in a row whose evidence is the same."""
    yield "| checks | today | proposed | reason |" if moved else "| checks | evidence |"
    yield "|---|---|---|---|" if moved else "|---|---|"
    for (tier, before, evidence), group in groupby(rows, key=lambda row: row[1][:3]):
        ids = _ids([check for check, _ in group])
        told = evidence.replace("|", "\\|")
        yield f"| {ids} | {before} | {tier} | {told} |" if moved else f"| {ids} | {told} |"


def _ids(ids: list[str]) -> str:
    if len(ids) <= FEW:
        return ", ".join(ids)
    alike = "".join(one[0] for one in takewhile(lambda each: len(set(each)) == 1, zip(*ids, strict=False)))
    return f"{alike[: max(alike.rfind('.'), alike.rfind('-')) + 1]}… ({len(ids)})"


def _harmless(found: Mapping[str, Tier]) -> Iterator[str]:
    yield "Each check keeps tier M for other faults; a claim of tier S could take these.\n"
    for check, tier in found.items():
        if tier.tier == "M" and tier.harmless and tier.evidence.startswith("client"):
            yield f"- {check}: {', '.join(tier.harmless)}"
