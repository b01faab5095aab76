"""The tier of each check by its evidence: M needs a client that breaks, a recorded one, or harm."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import NamedTuple

from breaks.harms import RECORDED, SAME, harm_of, noticed
from breaks.record import BreaksRecord
from breaks.selection import Served
from lumen_conformance.registry.declaration import check_of
from tests.matrix.contract import contract

MOST_FAULTS = 3  # of a check whose clients are named
CRASH = "-never-fails"  # the checks of bad requests that are of tier M: see `OF_BAD_REQUESTS`
# A bad request is no failure of the server, no lost connection and no answer: the faults of all these checks.
OF_BAD_REQUESTS = ("refusal-500", "refusal-cut", "C67-error-with-200")


class Tier(NamedTuple):
    """A tier that is proposed, the tier of today (empty: a new check), the evidence, and faults that break nobody."""

    tier: str
    today: str
    evidence: str
    harmless: tuple[str, ...] = ()


@cache
def today() -> dict[str, str]:
    """Check → tier, of every check of the contract."""
    tests = (*contract("lumen").tests, *contract("openai").tests)
    return {test.check: found.tier for test in tests if (found := check_of(test.item))}


def tiers(record: BreaksRecord, selected: Iterable[Served]) -> dict[str, Tier]:
    """Each check of tier M, today or as it is proposed."""
    by_check: dict[str, list[str]] = {}
    for served in (each for each in selected if record.has(each.name)):
        by_check.setdefault(served.fault.check, []).append(served.name)
    found = {}
    for check, tier in sorted(today().items()):
        proposed = tier_of(check, tier, by_check.get(SAME.get(check, check), []), record)
        if "M" in (tier, proposed.tier):
            found[check] = proposed
    return found


def tier_of(check: str, tier: str, faults: list[str], record: BreaksRecord) -> Tier:
    """The tier that the evidence gives a check of this tier: a client that breaks comes first."""
    breaking = {fault: broken for fault in faults if (broken := record.broken(fault))}
    harmless = tuple(fault for fault in faults if fault not in breaking)
    evidence = [_describe(breaking, record)] if breaking else []
    if check.endswith(CRASH):
        evidence += [
            _describe({fault: broken}, record) for fault in OF_BAD_REQUESTS if (broken := record.broken(fault))
        ]
    evidence = [f"client: {'; '.join(evidence)}"] if evidence else []
    evidence += [f"recorded: {RECORDED[check]}"] if check in RECORDED else []
    if evidence:
        return Tier("M", tier, "; ".join(evidence), harmless)
    if check.startswith("F2."):
        return Tier("S" if tier == "M" else tier, tier, "no client breaks on another status, or on an answer", harmless)
    if (reason := noticed(check)) and not faults_of_harm(check):
        return Tier("S" if tier == "M" else tier, tier, f"noticed: {reason}", harmless)
    if tier == "M" and (harm := harm_of(check)):
        return Tier("M", tier, f"harm: {harm.kind}: {harm.reason}", harmless)
    why = f"none of {len(record.clients)} clients breaks on {', '.join(faults)}" if faults else "no fault of its own"
    return Tier("S" if tier == "M" else tier, tier, f"none: {why}", harmless)


def faults_of_harm(check: str) -> bool:
    """Whether a more exact row of harm stands for the check: G8 has some of both."""
    harm = harm_of(check)
    return harm is not None and check in harm.checks.split()


def _describe(breaking: Mapping[str, dict[str, str]], record: BreaksRecord) -> str:
    """One client of each of the faults that break most, and how many others."""
    most = sorted(breaking, key=lambda name: -len(breaking[name]))[:MOST_FAULTS]
    return "; ".join(_describe_fault(fault, breaking[fault], record) for fault in most)


def _describe_fault(fault: str, broken: Mapping[str, str], record: BreaksRecord) -> str:
    client, how = next(iter(broken.items()))
    others = f", and {len(broken) - 1} more of {len(record.clients)} clients" if len(broken) > 1 else ""
    return f"{fault}: {record.clients[client]} {how}{others}"


def as_json(found: Mapping[str, Tier]) -> dict[str, dict[str, object]]:
    """What tiers.json has."""
    return {
        check: {"tier": tier.tier, "today": tier.today, "evidence": tier.evidence, "harmless": list(tier.harmless)}
        for check, tier in found.items()
    }
