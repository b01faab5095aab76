"""From the verdict of a judge to the outcome of a check: skipped, not judged, refuted, or nothing at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from lumen_conformance.checks.verdict import EXCHANGE, NotApplicable, NotSeen, Verdict
from lumen_conformance.contract.failure_report import with_body
from lumen_conformance.http.capture import Capture
from lumen_conformance.registry.declaration import check_of
from lumen_conformance.registry.refutation import Failure, NotJudged, Refuted


def conclude(
    item: pytest.Item, verdict: Verdict, seen: Sequence[Capture], *, exchange: tuple[str, ...], about: str = ""
) -> None:
    """Raise unless the claim holds: `Refuted`, `NotJudged`, or the skip of a claim that does not apply.

    ``exchange``  the checks that fail where the exchange is not what it is meant to be
    ``about``     is added to what was found
    """
    if isinstance(verdict.unjudged, NotApplicable):
        pytest.skip(f"not applicable: {verdict.unjudged.reason}")
    if isinstance(verdict.unjudged, NotSeen):
        raise NotJudged(verdict.unjudged.reason, _named(verdict.unjudged, exchange))
    if verdict.failure:
        raise Refuted(_shown(item, verdict.check, verdict.failure, seen, about))


def _named(missing: NotSeen, exchange: tuple[str, ...]) -> tuple[str, ...]:
    """The checks that say why it was not seen."""
    named = (exchange if check == EXCHANGE else (check,) for check in missing.because_of)
    return tuple(check for checks in named for check in checks)


def _shown(item: pytest.Item, judge: str, failure: Failure, seen: Sequence[Capture], about: str) -> Failure:
    """The failure as the check of this test shows it: a test may ask several judges in one check."""
    curl, own = failure.curl, check_of(item)
    for each in seen:
        curl = with_body(item, each, curl)
    by = judge if own and own.id != judge else ""
    return replace(failure, found="; ".join(filter(None, [failure.found, about])), curl=curl, judge=by)
