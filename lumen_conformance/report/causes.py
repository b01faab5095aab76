"""Failures grouped by their cause, so that hundreds of red lines are read as a few.

The cause of a failure is its family and its signature. The family is the check without its row (`F2`, `C2.5`), unless
`families` declares another for what was found; the signature is what was found, without what differs from row to row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from lumen_conformance.report.cause_families import Family, declared_for
from lumen_conformance.report.results import Result

SIGNATURE_CHARS: Final = 80  # of what was found: enough to tell two causes apart, and short enough for a line
_FAMILY: Final = re.compile(r"[A-Z]?\d+(\.\d+)*")
_DIFFERS: Final = (  # what differs between two failures of one cause, and what is shown in its place
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
    """What several failures have in common.

    ``name``        family and signature: the same in every run
    ``sentence``    what is wrong, in one line
    ``tier``        M where one of its checks has it
    ``checks``      the checks that it explains
    ``not_judged``  the checks that could not be judged because of those
    """

    name: str
    sentence: str
    tier: str
    checks: tuple[str, ...]
    not_judged: tuple[str, ...]


def cause_of(result: Result) -> str:
    """Return the name of the cause of a failure."""
    if declared := _declared(result):
        return declared.name
    signature = signature_of(result)
    return f"{family_of(result)}: {signature}" if signature else family_of(result)


def _declared(result: Result) -> Family | None:
    """Return the declared cause of a failure; an error says nothing about the target, whatever its check is about."""
    return None if result.outcome == "error" else declared_for(result.entry.check_id, found_by(result))


def family_of(result: Result) -> str:
    """Return the check id without its row; of a test without a number its module."""
    found = _FAMILY.match(result.entry.check_id)
    return found[0] if found else result.entry.nodeid.partition("::")[0]


def found_by(result: Result) -> str:
    """Return what a check has found; where it does not state it, why it failed."""
    return result.failure.found if result.failure else result.reason


def signature_of(result: Result) -> str:
    """Return what the failures of one cause have in common; nothing where a check states nothing."""
    if result.failure is None:
        return "" if result.refuted else without_differences(result.reason)
    return result.failure.signature or without_differences(result.failure.found)


def without_differences(text: str) -> str:
    """Return a text without quotes, sizes, times, ports and ids; a status stays."""
    for pattern, replacement in _DIFFERS:
        text = pattern.sub(replacement, text)
    return text.strip()[:SIGNATURE_CHARS].strip()


def causes_of(results: Sequence[Result]) -> list[Cause]:
    """Return the causes of what is red, or is only reported: those of clients first, then the largest first."""
    groups: dict[str, list[Result]] = {}
    for each in results:
        if is_shown(each):
            groups.setdefault(cause_of(each), []).append(each)
    unjudged = [each for each in results if each.outcome == "not_judged"]
    found = [_cause(name, group, unjudged) for name, group in groups.items()]
    return sorted(found, key=lambda each: (each.tier != "M", -len(each.checks), each.name))


def is_shown(result: Result) -> bool:
    """Whether a result has a cause that somebody has to read: known failures and advice have none."""
    return result.outcome in {"failed", "error"} or result.reported


def _cause(name: str, group: Sequence[Result], unjudged: Iterable[Result]) -> Cause:
    ids = {each.entry.check_id for each in group}
    return Cause(
        name=name,
        sentence=_sentence(group[0]),
        tier=min((each.entry.tier for each in group), key="MSW".index),
        checks=tuple(each.name for each in group),
        not_judged=tuple(each.name for each in unjudged if ids & set(each.because_of)),
    )


def _sentence(first: Result) -> str:
    if declared := _declared(first):
        return declared.sentence
    claim = "" if first.outcome == "error" else first.entry.claim.rstrip(".")
    if first.failure is None:
        return f"{claim}: {first.reason}" if claim else first.reason
    shown = " ".join(f"expected {first.failure.expected}, found {first.failure.found}".split())
    return f"{claim}: {shown}"
