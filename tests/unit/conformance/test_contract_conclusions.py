"""From verdict to outcome: a claim that does not apply is skipped, what was not seen names the check to blame."""

from __future__ import annotations

import pytest

from lumen_conformance.checks.catalogue import judges
from lumen_conformance.checks.verdict import EXCHANGE, NotApplicable, NotSeen, Unjudged, Verdict
from lumen_conformance.contract.conclusions import conclude
from lumen_conformance.http.client import Capture, request_bytes
from lumen_conformance.registry.refutation import Failure, NotJudged, Refuted
from tests.unit.conformance import samples

ORIGIN = "http://127.0.0.1:1"
CHECK = ("F2.messages-empty",)


def verdict(*, failure: Failure | None = None, unjudged: Unjudged | None = None) -> Verdict:
    """A verdict about an error."""
    return Verdict("F1.2", "M", "An error is an object.", failure, unjudged)


def test_a_claim_that_does_not_apply_is_skipped(request: pytest.FixtureRequest) -> None:
    """A claim that does not apply is a skip that says so, whichever check the exchange has."""
    with pytest.raises(pytest.skip.Exception, match=r"^not applicable: one choice was asked for$"):
        conclude(request.node, verdict(unjudged=NotApplicable("one choice was asked for")), [], exchange=CHECK)


@pytest.mark.parametrize(
    ("because_of", "exchange", "named"),
    [(("F1.2",), CHECK, ("F1.2",)), ((EXCHANGE,), CHECK, CHECK), ((EXCHANGE,), (), ())],
    ids=["own", "of-the-exchange", "nobody-knows"],
)
def test_what_was_not_seen_names_its_checks(
    request: pytest.FixtureRequest, because_of: tuple[str, ...], exchange: tuple[str, ...], named: tuple[str, ...]
) -> None:
    """What was not seen is never skipped: it names the checks of the judge, or that of the exchange if one is known."""
    with pytest.raises(NotJudged) as error:
        conclude(request.node, verdict(unjudged=NotSeen("no response", because_of)), [], exchange=exchange)
    assert error.value.because_of == named


def test_not_seen_because_of_nothing() -> None:
    """A judge cannot leave out which check says why something was not seen."""
    with pytest.raises(ValueError, match="no response: not seen because of no check"):
        NotSeen("no response", ())


def test_a_failure_names_its_judge(request: pytest.FixtureRequest) -> None:
    """A failure is refuted in the words of its judge, with what the check adds."""
    with pytest.raises(Refuted) as error:
        conclude(request.node, verdict(failure=Failure("a", "b")), [], exchange=(), about="c")
    assert (error.value.failure.expected, error.value.failure.found) == ("a", "b; c")


def test_a_claim_that_holds(request: pytest.FixtureRequest) -> None:
    """A claim that holds raises nothing."""
    conclude(request.node, verdict(), [], exchange=CHECK)


def test_models_without_a_time() -> None:
    """A list of models without `created` has no time that could be wrong, so nothing keeps its run from passing."""
    request = request_bytes(ORIGIN, "GET", "/v1/models")
    seen = Capture(f"{ORIGIN}/v1/models", request, status=200, body=b'{"data": [{"id": "m"}]}', ended="complete")
    (judge,) = judges("B2.1")
    assert judge(seen).unjudged == NotApplicable("the body has no created")


def test_a_stream_without_text() -> None:
    """A stream without any text leaves E7 not judged: the check that misses the text is named."""
    (judge,) = judges("E7")
    unjudged = judge(samples.stream([samples.chunk({"role": "assistant"}), samples.chunk({}, "stop")])).unjudged
    assert isinstance(unjudged, NotSeen)
    assert "E10" in unjudged.because_of
