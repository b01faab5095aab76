"""Group failures by their cause: hundreds of failures often have a few causes.

`known_causes` lists causes that many checks share; some apply only where most of these checks fail. Any other cause
has the number of the check without its row (`F2`, `C2.5`) and a signature: the found value, without the parts that
differ from row to row.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from lumen_conformance.report.known_causes import STALE, JudgedCheck, KnownCause, applicable_causes, find_known_cause
from lumen_conformance.report.results import Result, Results

TIERS: Final = "MSW"  # the strictest first
SIGNATURE_CHARS: Final = 80  # distinguishes two causes, and fits in one line
NUMBERS: Final = ("{} failed", "{} warned", "blocks {}")  # of a cause
VALUE_CHARS: Final = 60  # of the expected and of the found value in a title
_ROW: Final = re.compile(r" \([^()]*\)")  # as the claim of a row names it
_NUMBER: Final = re.compile(r"[A-Z]?\d+(\.\d+)*")
_APART: Final = "G5-"  # each check is about other characters, and what was found differs in nothing else
_VARIABLE_PARTS: Final = (  # what differs between failures with the same cause, and its replacement
    (re.compile(r";.*", re.DOTALL), ""),  # further findings
    (re.compile(r"""\bb?'(?:[^'\\]|\\.)*'|\bb?"(?:[^"\\]|\\.)*"|(?<!\w)'(?:[^'\\]|\\.)*'"""), "'...'"),
    (re.compile(r"\{.*\}|\[.*\]", re.DOTALL), "{...}"),
    (re.compile(r"(\b\d+(\.\d+){3}|\blocalhost|\[::1\]):\d+"), "HOST"),
    (re.compile(r"\b[0-9a-f]{8,}(-[0-9a-f]{4,})*\b|\b(chatcmpl|req)[-_]\w+"), "ID"),
    (re.compile(r"(?<![\w.])(?![1-5]\d\d(?![\w.,]| (bytes|characters|ms|s|seconds)\b))[\d.,]*\d"), "N"),  # not a status
    (re.compile(r"\s+"), " "),
)


@dataclass(frozen=True)
class Cause:
    """The cause of several failures.

    ``name``        check and signature, or the name of a known cause: the same in every run
    ``sentence``    what is wrong, in one line
    ``failed``      the number of its checks that fail the run; the others are only reported
    ``tier``        the strictest tier of its checks
    ``tiers``       the number of its checks of each tier
    ``checks``      the checks that failed, first those that fail the run
    ``not_judged``  the checks that could not be judged because of these failures
    """

    name: str
    sentence: str
    failed: int
    tier: str
    tiers: dict[str, int]
    checks: tuple[str, ...]
    not_judged: tuple[str, ...]

    @property
    def numbers(self) -> dict[str, int]:
        """Texts with a place for a number, and the numbers: of the checks that failed and of those not judged."""
        numbers = (self.failed, len(self.checks) - self.failed, len(self.not_judged))
        return {text: number for text, number in zip(NUMBERS, numbers, strict=True) if number}

    @property
    def size(self) -> str:
        """These numbers: 11 failed, 2 warned, blocks 201."""
        return ", ".join(text.format(number) for text, number in self.numbers.items())

    @property
    def order(self) -> tuple[bool, int, int, str]:
        """A key that sorts causes: first those that fail the run, then by what failed and what was not judged."""
        weight = (self.failed or len(self.checks)) + len(self.not_judged)
        return not self.failed, -weight, -len(self.checks), self.name


class CauseNames:
    """Names the cause of each failure of a run."""

    def __init__(self, results: Iterable[Result]) -> None:
        judged = (each for each in results if each.refuted or each.outcome in {"passed", "warned"})
        self._known = applicable_causes(map(_judged, judged))

    def of(self, result: Result) -> str:
        """Return the name of the cause of a failure."""
        if known := self.known(result):
            return known.name
        signature = signature_of(result)
        return f"{number_of(result)}: {signature}" if signature else number_of(result)

    def known(self, result: Result) -> KnownCause | None:
        """Return the known cause of a failure; an error is no statement about the target, so it has none."""
        if result.stale:
            return STALE
        return None if result.outcome == "error" else find_known_cause(self._known, _judged(result))


def _judged(result: Result) -> JudgedCheck:
    return JudgedCheck(result.entry.plain_id, result.entry.plain_name, found_by(result) if result.refuted else None)


def number_of(result: Result) -> str:
    """Return the number at the beginning of the check id, or the module of a test without a number."""
    if result.entry.check_id.startswith(_APART):
        return result.entry.plain_id
    found = _NUMBER.match(result.entry.check_id)
    return found[0] if found else result.entry.nodeid.partition("::")[0]


def found_by(result: Result) -> str:
    """Return the found value of a check, or the reason of its failure."""
    return result.failure.found if result.failure else result.reason


def signature_of(result: Result) -> str:
    """Return what failures with the same cause have in common; empty if the check states no found value."""
    if result.failure is None:
        return "" if result.refuted else without_differences(result.reason)
    return result.failure.signature or without_differences(result.failure.found)


def without_differences(text: str) -> str:
    """Return a text with quotations, sizes, times, ports and ids replaced; a status stays."""
    for pattern, replacement in _VARIABLE_PARTS:
        text = pattern.sub(replacement, text)
    return text.strip()[:SIGNATURE_CHARS].strip()


def causes_of(results: Sequence[Result]) -> list[Cause]:
    """Return the causes of all failures, also of those that do not fail the run, the largest first."""
    names, groups = CauseNames(results), dict[str, list[Result]]()
    for each in results:
        if is_shown(each):
            groups.setdefault(names.of(each), []).append(each)
    unjudged = [each for each in results if each.outcome == "not_judged"]
    causes = (_cause(name, sorted(group, key=_importance), unjudged, names) for name, group in groups.items())
    return sorted(causes, key=lambda each: each.order)


def unjudged_without_cause(results: Results, causes: Iterable[Cause]) -> list[Result]:
    """Return the results that fail the run because they were not judged, without those that a cause names."""
    named = {name for each in causes for name in each.not_judged}
    return [each for each in results.unjudged if each.name not in named]


def is_shown(result: Result) -> bool:
    """Return whether the cause of a result is shown: those of known failures and of tier W are not."""
    return _fails(result) or result.reported


def _fails(result: Result) -> bool:
    return result.outcome in {"failed", "error"}


def _importance(result: Result) -> tuple[bool, int]:
    return not _fails(result), TIERS.index(result.entry.tier)


def _cause(name: str, group: Sequence[Result], unjudged: Iterable[Result], names: CauseNames) -> Cause:
    failed = {each.name for each in group if not each.stale}
    tiers = Counter(each.entry.tier for each in group)
    return Cause(
        name=name,
        sentence=_sentence(group, names.known(group[0])),
        failed=sum(map(_fails, group)),
        tier=min(tiers, key=TIERS.index),
        tiers={tier: tiers[tier] for tier in TIERS if tiers[tier]},
        checks=tuple(each.name for each in group),
        not_judged=tuple(each.name for each in unjudged if failed & set(each.explained_by)),
    )


def shared_claim(claims: Sequence[str]) -> str:
    """Return the claim of several checks: without the rows where only the rows differ, else that of the first."""
    if len(set(claims)) == 1:
        return claims[0]
    without_rows = {_ROW.sub("", claim) for claim in claims}
    return without_rows.pop() if len(without_rows) == 1 else claims[0]


def _sentence(group: Sequence[Result], known: KnownCause | None) -> str:
    first = group[0]
    if known:
        return known.sentence
    if first.failure is None:
        claim = "" if first.outcome == "error" else shared_claim([each.entry.claim for each in group]).rstrip(".")
        return f"{claim}: {first.reason}" if claim else first.reason
    ids = {each.entry.check_id for each in group}
    check = f"{first.name if len(group) == 1 else first.entry.check_id}: " if len(ids) == 1 else ""
    expected, found = map(_shortened, (first.failure.expected, first.failure.found))
    return f"{check}expected {expected}; found {found}"


def _shortened(value: str) -> str:
    """Return a value in one line, cut at a word."""
    line = " ".join(value.split())
    if len(line) <= VALUE_CHARS:
        return line
    words = line[: VALUE_CHARS + 1].rpartition(" ")[0] or line[:VALUE_CHARS]
    return f"{words.rstrip(' ,;:')}…"
