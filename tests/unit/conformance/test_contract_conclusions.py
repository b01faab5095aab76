"""A verdict becomes an outcome: a claim that does not apply is skipped, a claim that is not decided names a check."""

from __future__ import annotations

import pytest

from lumen_conformance.checks.catalogue import judges
from lumen_conformance.checks.verdict import EXCHANGE, NotApplicable, NotObserved, Unjudged, Verdict
from lumen_conformance.contract.conclusions import conclude
from lumen_conformance.http.client import Capture, request_bytes
from lumen_conformance.registry.refutation import Failure, NotJudged, Refuted
from tests.unit.conformance import samples

ORIGIN = "http://127.0.0.1:1"
CHECK = ("F2-messages-empty",)


def verdict(*, failure: Failure | None = None, unjudged: Unjudged | None = None) -> Verdict:
    """A verdict about an error."""
    return Verdict("F1.2", "M", "An error is an object.", failure, unjudged)


def test_a_claim_that_does_not_apply_is_skipped(request: pytest.FixtureRequest) -> None:
    """A claim that does not apply is skipped with that reason."""
    with pytest.raises(pytest.skip.Exception, match=r"^not applicable: one choice was asked for$"):
        conclude(request.node, verdict(unjudged=NotApplicable("one choice was asked for")), [], exchange=CHECK)


@pytest.mark.parametrize(
    ("because_of", "exchange", "named"),
    [(("F1.2",), CHECK, ("F1.2",)), ((EXCHANGE,), CHECK, CHECK), ((EXCHANGE,), (), ())],
    ids=["own", "of-the-exchange", "nobody-knows"],
)
def test_a_claim_that_is_not_decided_names_checks(
    request: pytest.FixtureRequest, because_of: tuple[str, ...], exchange: tuple[str, ...], named: tuple[str, ...]
) -> None:
    """A claim that is not decided names the checks of its judge, or the check of its exchange."""
    with pytest.raises(NotJudged) as error:
        conclude(request.node, verdict(unjudged=NotObserved("no response", because_of)), [], exchange=exchange)
    assert error.value.because_of == named


def test_not_observed_needs_a_check() -> None:
    """`NotObserved` requires the name of a check."""
    with pytest.raises(ValueError, match="no response: because_of is empty"):
        NotObserved("no response", ())


def test_a_failure_has_the_texts_of_its_judge(request: pytest.FixtureRequest) -> None:
    """A failure has the texts of its judge, and the text that the check adds."""
    with pytest.raises(Refuted) as error:
        conclude(request.node, verdict(failure=Failure("a", "b")), [], exchange=(), about="c")
    assert (error.value.failure.expected, error.value.failure.found) == ("a", "b; c")


def test_a_claim_that_holds(request: pytest.FixtureRequest) -> None:
    """A claim that holds raises nothing."""
    conclude(request.node, verdict(), [], exchange=CHECK)


def test_models_without_a_time() -> None:
    """Check B2.1 does not apply to a list of models without `created`."""
    request = request_bytes(ORIGIN, "GET", "/v1/models")
    capture = Capture(f"{ORIGIN}/v1/models", request, status=200, body=b'{"data": [{"id": "m"}]}', ended="complete")
    (judge,) = judges("B2.1")
    assert judge(capture).unjudged == NotApplicable("the body has no created")


def test_a_stream_without_text() -> None:
    """Check E7 is not judged for a stream without text, and names the check that fails for that."""
    (judge,) = judges("E7")
    unjudged = judge(samples.stream([samples.chunk({"role": "assistant"}), samples.chunk({}, "stop")])).unjudged
    assert isinstance(unjudged, NotObserved)
    assert "E10" in unjudged.because_of
