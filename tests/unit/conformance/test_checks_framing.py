"""Valid framings of the same events give the same verdicts, for valid and defective events."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lumen_conformance.checks import catalogue
from lumen_conformance.checks.verdict import JudgeContext
from lumen_conformance.http.documents import assistant_text
from tests.unit.conformance import samples as s
from tests.unit.conformance.framings import framings
from tests.unit.conformance.samples import ABSENT, ERROR, chunk, chunks, edited, with_usage

KNOWN = JudgeContext(text=s.TEXT, finish="stop")
USAGE_ASKED = {"stream_options": {"include_usage": True}}
DONE = b"[DONE]"
NO_DEADLINE = settings(deadline=None)  # the time depends on the load of the machine
# A framing does not depend on the events: all lists of events together get four times the default number of examples.
FEW_EXAMPLES = settings(NO_DEADLINE, max_examples=30)
# Events, valid or with one defect; hypothesis draws their framing.
EVENTS: dict[str, list[Any]] = {
    "healthy": [*chunks(), DONE],
    "no-done": [*chunks()],
    "done-twice": [*chunks(), DONE, DONE],
    "id-absent": [*edited(chunks(), ("2.id", ABSENT)), DONE],
    "created-float": [*edited(chunks(), ("2.created", s.NOW_S)), DONE],
    "no-role": [*edited(chunks(), ("0.choices.0.delta", {"content": ""})), DONE],
    "finish-empty": [*edited(chunks(), ("1.choices.0.finish_reason", "")), DONE],
    "never-finishes": [*chunks()[:-1], DONE],
    "after-the-finish": [*chunks(), chunk({"content": "b"}), DONE],
    "cumulative": [*chunks([s.TEXT[:3], s.TEXT[:6], s.TEXT]), DONE],
    "no-json": [*chunks(), b"{not json", DONE],
    "failed": [*chunks()[:3], ERROR],
    "nothing": [DONE],
}


def verdicts(body: bytes, asked: dict[str, Any] | None = None) -> dict[str, bool]:
    """Whether each claim holds for a stream of these bytes."""
    capture = s.stream(body, asked=asked or {})  # one for all, as in a run: it is parsed once
    return {judge.claim.check: judge(capture, KNOWN).ok for judge in {*catalogue.STREAM, *catalogue.BROKEN_STREAM}}


def plain_framing(events: list[Any]) -> bytes:
    """The events in the framing of OpenAI."""
    return b"".join(b"data: " + (each if isinstance(each, bytes) else s.encoded(each)) + b"\n\n" for each in events)


@cache
def plain_verdicts(name: str) -> dict[str, bool]:
    """Whether each claim holds for a list of events in the framing of OpenAI."""
    return verdicts(plain_framing(EVENTS[name]))


@pytest.mark.parametrize("name", EVENTS)
@FEW_EXAMPLES
@given(data=st.data())
def test_framing_never_matters(name: str, data: st.DataObject) -> None:
    """The same events give the same verdicts and the same text in any valid framing."""
    events = EVENTS[name]
    body = data.draw(framings(events))
    assert verdicts(body) == plain_verdicts(name)
    assert assistant_text(s.stream(body)) == assistant_text(s.stream(plain_framing(events)))


@NO_DEADLINE
@given(data=st.data())
def test_framing_never_matters_with_usage(data: st.DataObject) -> None:
    """The same events with usage give the same verdicts in any valid framing."""
    events = [*with_usage(), DONE]
    assert verdicts(data.draw(framings(events)), USAGE_ASKED) == verdicts(plain_framing(events), USAGE_ASKED)


@NO_DEADLINE
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40), max_size=6), st.data())
def test_any_text_in_any_framing(pieces: list[str], data: st.DataObject) -> None:
    """Any text in any pieces is parsed in any valid framing."""
    body = data.draw(framings([*chunks(pieces), DONE]))
    assert assistant_text(s.stream(body)) == "".join(pieces)
