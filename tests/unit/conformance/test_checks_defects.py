"""Each defect in a capture breaks exactly the declared claims."""

from collections.abc import Iterable

import pytest

from lumen_conformance.checks import catalogue
from lumen_conformance.checks.verdict import EXCHANGE, Judge, JudgeContext, NotObserved
from lumen_conformance.http.client import Capture
from tests.unit.conformance import samples as s
from tests.unit.conformance.broken_answers import ANSWERS, TOOL_ANSWERS
from tests.unit.conformance.broken_errors import BREAKS, REFUSALS, Defect
from tests.unit.conformance.broken_streams import COLLECTED, MARKED, MARKERS, STREAMS, TOOLS, USAGES
from tests.unit.conformance.samples import TEXT, chunks, framed

CONTEXT = JudgeContext(text=TEXT, finish="stop", secrets=("sk-hush-hush",), upstream=("gateway.example",))


def _rows(table: dict[str, Defect], judges: Iterable[Judge], context: JudgeContext) -> list[object]:
    return [
        pytest.param(capture, expected, tuple(judges), context, id=name) for name, (capture, expected) in table.items()
    ]


TABLES = [
    *_rows(ANSWERS, catalogue.ANSWER, CONTEXT),
    *_rows(TOOL_ANSWERS, catalogue.TOOL_ANSWER, CONTEXT),
    *_rows(STREAMS, catalogue.STREAM, CONTEXT),
    *_rows(USAGES, catalogue.USAGE_STREAM, CONTEXT),
    *_rows(TOOLS, catalogue.TOOL_STREAM, JudgeContext()),
    *_rows(MARKERS, catalogue.STREAM, JudgeContext(text=MARKED)),
    *_rows(COLLECTED, catalogue.STREAM, JudgeContext(said_mono_s=100.0)),
    *_rows(REFUSALS, catalogue.judges("B1", "D7", "F1", "F2", "F4", "F6"), CONTEXT),
    *_rows(BREAKS, catalogue.judges("B1", "D1", "D2", "D5", "D7", "F1", "F5", "F6"), CONTEXT),
]


@pytest.mark.parametrize(("capture", "expected", "judges", "context"), TABLES)
def test_defect_breaks_its_claims_only(
    capture: Capture, expected: set[str], judges: tuple[Judge, ...], context: JudgeContext
) -> None:
    """A defect breaks exactly the declared claims."""
    verdicts = [judge(capture, context) for judge in judges]
    assert {verdict.check for verdict in verdicts if verdict.failed} == expected


@pytest.mark.parametrize(("capture", "expected", "judges", "context"), TABLES)
def test_undecided_claims_name_a_failed_check(
    capture: Capture, expected: set[str], judges: tuple[Judge, ...], context: JudgeContext
) -> None:
    """A claim that is not decided does not apply, or names a failed check, or the check of the exchange."""
    unjudged = [verdict.unjudged for verdict in (judge(capture, context) for judge in judges)]
    missing = [each for each in unjudged if isinstance(each, NotObserved)]
    assert [each for each in missing if not {*expected, EXCHANGE} & set(each.because_of)] == []


def test_a_hint_for_an_unknown_model() -> None:
    """The failure for a 404 that names the model has a hint about --proxy-model; another 404 has none."""
    asked = {"model": "nomodel", "messages": []}
    bodies = {
        "by its code": {"error": {"message": "unknown", "code": "model_not_found"}},
        "by its name": {"detail": "no such model: nomodel"},
    }
    for body in bodies.values():
        failure = catalogue.JUDGES["C1.1"](s.plain(body, status=404, asked=asked)).failure
        assert failure
        assert failure.found == "status 404, complete; check --proxy-model"
    failure = catalogue.JUDGES["C1.1"](s.plain({"detail": "Not Found"}, status=404, asked=asked)).failure
    assert failure
    assert failure.found == "status 404, complete"


def test_the_failure_names_what_a_stream_lacks() -> None:
    """The failure names what the stream lacks, and how the stream ended."""
    failure = catalogue.JUDGES["D3.1"](s.stream(framed(chunks()).removesuffix(b"data: [DONE]\n\n"))).failure
    assert failure
    assert failure.found == "no `data: [DONE]`; the stream ended normally"
