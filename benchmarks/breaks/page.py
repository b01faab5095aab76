"""The page docs/breaks.md: what each client breaks on, and the evidence for each check of tier M."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path

from breaks.kinds import kinds_table
from breaks.moves import BEFORE, MOVES, moves_table
from breaks.record import BreaksRecord
from breaks.selection import Served
from breaks.tiers import Tier, today
from tests.fixtures.check_ids import summarize_ids
from tests.matrix.contract import contract

HEAD = Path(__file__).parent / "head.md"
NOTICED = "·"  # in a cell: something differs, nothing breaks


def page(record: BreaksRecord, selected: Iterable[Served], found: Mapping[str, Tier]) -> Iterator[str]:
    """Yield the page, line by line."""
    faults = [served for served in selected if served.fault.check]
    shown = [served for served in faults if record.has(served.name)]
    yield HEAD.read_text("utf-8")
    yield from _counts(found)
    yield "## Clients\n"
    yield from (f"- {name}: {text}" for name, text in record.clients.items())
    yield "\n## Kinds of public reports\n"
    yield from kinds_table(record)
    yield "\n## Who breaks on what\n"
    yield from _table(record, shown)
    if new := [served.name for served in faults if served not in shown]:
        yield f"\nNot served yet: {', '.join(new)}."
    yield "\n## The evidence for each check of tier M\n"
    yield from _evidence((check, tier) for check, tier in found.items() if tier.tier == "M")
    yield "\n## What has changed\n"
    yield from moves_table(MOVES, {check: tier.evidence for check, tier in found.items()})
    yield "\n## Faults of these checks that break nobody\n"
    yield from _harmless(found)


def _counts(found: Mapping[str, Tier]) -> Iterator[str]:
    """How many checks have tier M, of both profiles and of any OpenAI-compatible server, before and now."""
    now, openai = today(), contract("openai").checks
    musts = [check for check, tier in now.items() if tier == "M"]
    kinds = Counter(tier.evidence.partition(":")[0] for tier in found.values() if tier.tier == "M")
    evidence = ", ".join(f"{kinds[kind]} by {name}" for kind, name in KINDS.items() if kinds[kind])
    of_openai = sum(check in openai for check in musts)
    yield f"Checks of tier M before this page: {BEFORE['all']}, of profile openai {BEFORE['openai']}."
    yield f"Now: {len(musts)}, of profile openai {of_openai}; {evidence}.\n"


KINDS = {"client": "a client of this run", "recorded": "a recorded client", "harm": "harm"}


def _table(record: BreaksRecord, shown: Iterable[Served]) -> Iterator[str]:
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


def _cell(record: BreaksRecord, client: str, server: str) -> str:
    if broken := record.differences_of(client, server, "breaks"):
        return ", ".join(dict.fromkeys(each.word for each in broken))
    return NOTICED if record.differences_of(client, server, "differs") else ""


def _evidence(rows: Iterable[tuple[str, Tier]]) -> Iterator[str]:
    """One line for checks in a row whose evidence is the same."""
    yield "| checks | evidence |"
    yield "|---|---|"
    for evidence, group in groupby(rows, key=lambda row: row[1].evidence):
        escaped = evidence.replace("|", "\\|")
        yield f"| {summarize_ids([check for check, _ in group])} | {escaped} |"


def _harmless(found: Mapping[str, Tier]) -> Iterator[str]:
    yield "Each check keeps tier M for other faults; a claim of tier S could take these.\n"
    for check, tier in found.items():
        if (
            tier.tier == "M"
            and tier.harmless
            and tier.evidence.startswith("client")
            and "recorded" not in tier.evidence
        ):
            yield f"- {check}: {', '.join(tier.harmless)}"
