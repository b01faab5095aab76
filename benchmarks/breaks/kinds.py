"""The kinds of defects that public reports describe: the checks and faults of each, and the clients that break."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import NamedTuple

from breaks.harms import RECORDED, harm_of
from breaks.record import BreaksRecord
from breaks.tiers import today
from tests.fixtures.faults.catalogue import FAULTS


class Kind(NamedTuple):
    """A kind of defect, and patterns of the ids of its checks."""

    title: str
    patterns: str

    def has(self, check: str) -> bool:
        """Whether a check is about this kind."""
        return any(fnmatchcase(check, each) for each in self.patterns.split())


REPORTED = (
    Kind("plain tool calls", "C9.* G9-*"),
    Kind("streamed tool calls", "E8.* E9-tools"),
    Kind("request options on their way to the gateway", "G15-*"),
    Kind("unusual conversations", "G1-forwarded-* G2-forwarded-* H4-turns-*"),
    Kind("what the gateway sends beside the text", "G10-*"),
    Kind("token counts", "E11.* G11-*"),
    Kind("errors of the gateway", "G3-*"),
    Kind("event streams of the gateway", "G12-*"),
    Kind("time", "G13-*"),
    Kind("content coding", "H8-*"),
    Kind("framing of requests", "H6-*"),
    Kind("access, and bodies that a refusal leaves unread", "F3-key-* H2-body-* H2-close"),
    Kind("requests at the same time, and clients that leave", "G14-*"),
    Kind("bad and unusual requests", "F7 F7-*"),
    Kind("structured output", "J* G15-response-format-*"),
    Kind("options with a visible effect", "C3.3 H4-limit-* H4-stop-ends G15-max-* G15-stop* G15-n G15-stream-options"),
)


def kinds_table(record: BreaksRecord) -> Iterator[str]:
    """One line for each kind, in Markdown."""
    yield "| kind | checks | of tier M | faults | clients of this run that break | other evidence of tier M |"
    yield "|---|---|---|---|---|---|"
    for kind in REPORTED:
        tiers = {check: tier for check, tier in today().items() if kind.has(check)}
        faults = [name for name, fault in FAULTS.items() if kind.has(fault.check)]
        broken = {client for fault in faults if record.has(fault) for client in record.broken(fault)}
        musts = [check for check, tier in tiers.items() if tier == "M"]
        clients = f"{len(broken)} of {len(record.clients)}: {', '.join(sorted(broken))}" if broken else "none"
        patterns = ", ".join(f"`{each}`" for each in kind.patterns.split())
        yield (
            f"| {kind.title} | {patterns}: {len(tiers)} | {len(musts)} | {len(faults)} | {clients} | {_other(musts)} |"
        )


def _other(checks: Iterable[str]) -> str:
    """How many of these checks have a recorded client, and how many do harm that no client reports."""
    recorded = sum(check in RECORDED for check in checks)
    harm = sum(check not in RECORDED and harm_of(check) is not None for check in checks)
    counts = {f"a recorded client: {recorded}": recorded, f"harm: {harm}": harm}
    return ", ".join(text for text, count in counts.items() if count) or "none"
