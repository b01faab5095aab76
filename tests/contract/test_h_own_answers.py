"""H2.own-answers: on a connection that stays open each request gets its own answer, and never another's.

Streams and plain answers take turns, so that a target which answers all questions alike is judged, too.
"""

import uuid
from itertools import pairwise

from lumen_conformance.contract.expectations import describe
from lumen_conformance.contract.mixed_answers import Asked, expect_own, nonce, short
from lumen_conformance.contract.session import Talk, question
from lumen_conformance.http.capture import WITNESS, Capture
from lumen_conformance.http.documents import said
from lumen_conformance.http.framing import is_foreign
from lumen_conformance.registry.declaration import check
from lumen_conformance.registry.refutation import NotJudged, expect
from lumen_conformance.targets.endpoint import CHAT

FOUR = 4  # two of each kind


def is_rest(before: Capture, seen: Capture) -> bool:
    """Whether what came is no response, but bytes that the one before has left on their connection."""
    same = before.connection == seen.connection and before.ended == "complete"
    return same and seen.ended == "invalid" and bool(seen.raw) and is_foreign(seen.raw)


@check("H2.own-answers")
def test_own_answers(talk: Talk) -> None:
    """On one connection no request gets the answer to another."""
    streams = bool(said(talk.stream))
    asked: list[Asked] = []
    with talk.proxy.connection() as connection:
        for number in range(FOUR):
            text, request_id = nonce("말해"), f"own-{uuid.uuid4().hex}"
            body = talk.own(question(text, stream=streams and number % 2 == 1, **short(talk)))
            seen = connection.call("POST", CHAT, json=body, headers=[("X-Request-Id", request_id)])
            asked.append(Asked(text, request_id, seen))
    for before, one in pairwise(asked):
        expect(
            not is_rest(before.seen, WITNESS.saw(one.seen)),
            "a response",
            f"the rest of the answer before: {describe(one.seen)}",
        )
    expect_own(talk, asked)
    answered = sum(each.seen.status == 200 for each in asked)
    if answered < 2:
        raise NotJudged(f"{answered} of {FOUR} requests on one connection are answered", ("H2.ten",))
