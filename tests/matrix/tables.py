"""Tables of faults and checks in Markdown: as declared for the docs, as observed for a report."""

from __future__ import annotations

from collections.abc import Mapping

from tests.fixtures.faults.catalogue import FAULTS
from tests.fixtures.faults.fault import BUILT_FOR, Fault
from tests.fixtures.faults.healthy import VARIANTS
from tests.fixtures.faults.numbers import ALSO, NUMBERS
from tests.matrix.selection import EVERY


def declared_table() -> str:
    """Each fault with the check that names it and the patterns of its companions."""
    rows = [_row(fault) for fault in FAULTS.values()]
    head = ["| fault | defect | seen in | named check | fail with it |", "|---|---|---|---|---|"]
    return "\n".join([*head, *rows])


def variants_table() -> str:
    """Each healthy variant with the checks for which it was built."""
    rows = [
        f"| {name} | {_escaped(variant.defect)} | {_escaped(' '.join(BUILT_FOR.get(name, EVERY)))} |"
        for name, variant in VARIANTS.items()
    ]
    return "\n".join(["| variant | what it does | checks that it is always run against |", "|---|---|---|", *rows])


def observed_table(red_by_fault: Mapping[str, list[str]]) -> str:
    """What failed in this run: each fault with its checks, and each check with its faults."""
    by_check: dict[str, list[str]] = {}
    for fault, red in red_by_fault.items():
        for check in red:
            by_check.setdefault(check, []).append(fault)
    faults = [f"| {fault} | {len(red)} | {' '.join(red)} |" for fault, red in sorted(red_by_fault.items())]
    checks = [f"| {check} | {len(found)} | {' '.join(found)} |" for check, found in sorted(by_check.items())]
    return "\n".join([
        "# Fault x check, as observed in this run", "",
        f"{len(faults)} faults, {len(checks)} checks failed.", "",
        "| fault | checks | red |", "|---|---|---|", *faults, "",
        "| check | faults | turned red by |", "|---|---|---|", *checks, "",
    ])  # fmt: skip


def _row(fault: Fault) -> str:
    with_it = _escaped(" ".join(fault.companions))
    return f"| {fault.name} | {_escaped(fault.defect)} | {source_of(fault)} | {fault.check} | {with_it} |"


def source_of(fault: Fault) -> str:
    """The public issue in which a fault was reported, or an empty text."""
    return (NUMBERS | ALSO).get(fault.number, "")


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*")
