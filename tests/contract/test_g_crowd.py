"""C8.4, G7: answers that are given at the same time are those of their own clients, and can be told apart.

By URL four clients come at once, unless --proxy-load allows the twenty of all other targets.
"""

from concurrent.futures import ThreadPoolExecutor

import pytest

from lumen_conformance.contract.exchanges import AT_ONCE, FEW_AT_ONCE
from lumen_conformance.contract.expectations import describe
from lumen_conformance.contract.mixed_answers import Asked, expect_own, nonce, short
from lumen_conformance.contract.session import Talk
from lumen_conformance.http.client import Capture
from lumen_conformance.http.documents import answer, choices, chunks, said
from lumen_conformance.registry.declaration import check
from lumen_conformance.registry.refutation import NotJudged, expect
from lumen_conformance.waiting import observe as came

PLACE_WITHIN_S = 60.0  # for a client that was told to come again: twenty answers take far less than a second


def patient_ask(talk: Talk, number: int) -> Asked:
    """Ask with a nonce, every other time for a stream where there are streams; come again when told to."""
    text = nonce("말해")
    streamed = bool(number % 2) and bool(said(talk.stream))
    last: list[Capture] = []

    def answered() -> bool:
        last[:] = [talk.ask(text, stream=streamed, **short(talk))]
        full = last[0].status == 429 and last[0].header("retry-after")
        return bool(talk.target.url) or not full  # by URL nothing is asked twice

    came("the target has a place", answered, within_s=PLACE_WITHIN_S)
    return Asked(text, "", last[0])


@pytest.fixture(scope="module")
def crowd(talk: Talk) -> list[Asked]:
    """Many clients at once."""
    many = AT_ONCE if talk.target.load else FEW_AT_ONCE
    talk.stream  # noqa: B018 -- made before the crowd comes, once
    with ThreadPoolExecutor(many) as pool:
        return list(pool.map(lambda number: patient_ask(talk, number), range(many)))


def answers(crowd: list[Asked], talk: Talk) -> list[Capture]:
    """The responses with status 200, at least two."""
    found = [each.seen for each in crowd if each.seen.status == 200]
    if len(found) < 2:
        because_of = ("G7.1",) if "gateway" in talk.target.can else ()
        raise NotJudged(f"{len(found)} of {len(crowd)} clients at once are answered", because_of)
    return found


@check("C8.4")  # LiteLLM keeps its records of what was paid by this id, and loses those that share one (litellm#28376)
def test_unique_ids(crowd: list[Asked], talk: Talk) -> None:
    """Answers that are given at the same time have ids of their own."""
    ids = [id_of(seen) for seen in answers(crowd, talk)]
    if not all(choices(seen) for seen in answers(crowd, talk)):
        raise NotJudged(f"one of {len(ids)} answers at once has no choices", ("G7.1",) * ("gateway" in talk.target.can))
    if not all(ids):
        raise NotJudged("an answer has no id", ("C2.1", "C2.6", "E1.5"))
    expect_all_different(ids, "ids")


@check("G7.1")
def test_no_cross_talk(crowd: list[Asked], talk: Talk) -> None:
    """Each of twenty clients at once gets the answer to its own question."""
    for one in crowd if "gateway" in talk.target.can else ():
        own = one.seen.status == 200 and said(one.seen) == one.text
        expect(own, f"status 200 and the client's own text {one.text!r}", describe(one.seen))
    answers(crowd, talk)  # of a model nothing more is known than that it gives no answer to another
    expect_own(talk, crowd)


@check("G7.3", tier="S")
def test_unique_request_ids(crowd: list[Asked]) -> None:
    """Each of twenty responses at once has a request id of its own."""
    ids = [str(each.seen.header("x-request-id") or "") for each in crowd]
    if not all(ids):
        raise NotJudged("a response has no x-request-id", ("F8",))
    expect_all_different(ids, "request ids")


def id_of(seen: Capture) -> str:
    """The id of an answer, or that of the first chunk of a stream; empty when there is none."""
    said_by = [chunk.value for chunk in chunks(seen)] or [answer(seen)]
    found = said_by[0].get("id")
    return found if isinstance(found, str) else ""


def expect_all_different(ids: list[str], what: str) -> None:
    """No id is there twice."""
    twice = sorted({each for each in ids if ids.count(each) > 1})
    expect(
        not twice,
        f"{len(ids)} different {what}",
        f"{len(set(ids))} different {what}; more than once: {', '.join(twice[:3])}",
    )
