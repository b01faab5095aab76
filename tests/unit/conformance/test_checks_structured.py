"""J1 and E11: what a model may do, and what breaks the claims."""

import pytest

from lumen_conformance.checks.catalogue import COMPARISONS, JUDGES
from lumen_conformance.checks.j_structured import FITTING, OBJECT
from tests.unit.conformance import samples as s
from tests.unit.conformance.samples import ANSWER, edited, with_usage

FITS = '{"city": "Paris", "coastal": false, "rivers": ["Seine"]}'
USAGE = {"stream_options": {"include_usage": True}}


def judged(
    check: str, text: str | None, form: dict[str, object], *changes: tuple[str, object], status: int = 200
) -> str:
    """How a judge ends for an answer with this text, after changes."""
    answer = edited(ANSWER, ("choices.0.message.content", text), *changes)
    verdict = JUDGES[check](s.plain(answer, asked={"response_format": form}, status=status))
    return "holds" if verdict.ok else "broken" if verdict.failed else "unjudged"


@pytest.mark.parametrize(
    ("check", "text", "form", "ends"),
    [
        ("J1.1", FITS, OBJECT, "holds"),
        ("J1.1", f" \n{FITS}\n", OBJECT, "holds"),
        ("J1.1", "{}", OBJECT, "holds"),
        ("J1.1", "[]", OBJECT, "broken"),
        ("J1.1", "Paris", OBJECT, "broken"),
        ("J1.1", f"```json\n{FITS}\n```", OBJECT, "broken"),
        ("J1.1", None, OBJECT, "broken"),
        ("J1.1", "Paris", FITTING, "unjudged"),
        ("J1.2", FITS, FITTING, "holds"),
        ("J1.2", "{}", FITTING, "broken"),
        ("J1.2", FITS.replace("false", '"no"'), FITTING, "broken"),
        ("J1.2", FITS.replace("}", ', "more": 1}'), FITTING, "broken"),
        ("J1.3", "Paris", FITTING, "broken"),
        ("J1.3", "Paris", {"type": "text"}, "unjudged"),
    ],
)
def test_texts(check: str, text: str | None, form: dict[str, object], ends: str) -> None:
    """Only a text that is one JSON value of the requested form fits."""
    assert judged(check, text, form) == ends


@pytest.mark.parametrize(
    "change",
    [
        ("choices.0.finish_reason", "length"),
        ("choices.0.finish_reason", "content_filter"),
        ("choices.0.message.refusal", "no"),
    ],
)
def test_texts_that_are_not_whole(change: tuple[str, object]) -> None:
    """A text that is cut, or a refusal of the model, breaks no claim."""
    assert judged("J1.2", '{"city": "Par', FITTING, change) == "unjudged"


def test_refusals() -> None:
    """Without the capability a refusal is fine, a failure of the server is not."""
    assert [judged("J1.3", None, FITTING, status=status) for status in (400, 422, 500)] == ["holds", "holds", "broken"]
    assert judged("J1.2", None, FITTING, status=400) == "broken"
    others = (401, 404, 408, 429)
    assert [judged("J1.3", None, FITTING, status=status) for status in others] == ["unjudged"] * len(others)


@pytest.mark.parametrize(("name", "check"), [("prompt_tokens", "E11.1"), ("completion_tokens", "E11.2")])
def test_counts(name: str, check: str) -> None:
    """Equal counts hold, another count of a stream does not, and answers without usage are not judged."""
    plain, last = s.plain(), len(with_usage()) - 1
    counts = ANSWER["usage"]
    alike = edited(with_usage(), (f"{last}.usage", counts))
    other = edited(alike, (f"{last}.usage.{name}", counts[name] + 1))
    streams = [s.stream(chunks, asked=USAGE) for chunks in (alike, other)]
    assert [COMPARISONS[check]([plain, stream]).failed for stream in streams] == [False, True]
    assert not COMPARISONS[check]([plain, s.stream()]).ok
