"""Turn the verdict of a judge into the outcome of a check: passed, skipped, not judged, or failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from lumen_conformance.checks.verdict import EXCHANGE, NotApplicable, NotObserved, Verdict
from lumen_conformance.contract.failure_report import attach_body, judge_exchanges
from lumen_conformance.http.capture import Capture
from lumen_conformance.registry.declaration import check_of
from lumen_conformance.registry.refutation import Failure, NotJudged, Refuted


def conclude(
    item: pytest.Item, verdict: Verdict, captures: Sequence[Capture], *, exchange: tuple[str, ...], about: str = ""
) -> None:
    """Raise `Refuted` when the claim is broken, `NotJudged` when it could not be decided; skip when it does not apply.

    ``exchange``  the checks that fail when the exchange is not of the expected kind
    ``about``     is appended to what was found
    """
    judge_exchanges(item, captures)
    if isinstance(verdict.unjudged, NotApplicable):
        pytest.skip(f"not applicable: {verdict.unjudged.reason}")
    if isinstance(verdict.unjudged, NotObserved):
        raise NotJudged(verdict.unjudged.reason, _named(verdict.unjudged, exchange))
    if verdict.failure:
        raise Refuted(_shown(item, verdict.check, verdict.failure, captures, about))


def _named(missing: NotObserved, exchange: tuple[str, ...]) -> tuple[str, ...]:
    """The checks that fail for this reason, with the placeholder `EXCHANGE` replaced."""
    named = (exchange if check == EXCHANGE else (check,) for check in missing.because_of)
    return tuple(check for checks in named for check in checks)


def _shown(item: pytest.Item, judge: str, failure: Failure, captures: Sequence[Capture], about: str) -> Failure:
    """The failure for the report; it names the judge when one check uses several judges."""
    curl, own = failure.curl, check_of(item)
    for each in captures:
        curl = attach_body(item, each, curl)
    by = judge if own and own.id != judge else ""
    return replace(failure, found="; ".join(filter(None, [failure.found, about])), curl=curl, judge=by)
