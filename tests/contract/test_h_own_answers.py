"""H2.own-answers: on a connection that stays open, each request gets its own answer.

Streams and plain answers alternate, so that mixed-up answers are detected also when all texts are equal.
"""

import uuid
from itertools import pairwise

from lumen_conformance.contract.expectations import describe
from lumen_conformance.contract.mixed_answers import SentQuestion, expect_own_answers, limit_tokens, make_unique
from lumen_conformance.contract.session import ContractSession, question
from lumen_conformance.http.capture import LAST_CAPTURE, Capture
from lumen_conformance.http.documents import assistant_text
from lumen_conformance.http.framing import is_not_http
from lumen_conformance.registry.declaration import check
from lumen_conformance.registry.refutation import NotJudged, expect
from lumen_conformance.targets.endpoint import CHAT

REQUESTS = 4  # two of each kind


def is_rest(before: Capture, capture: Capture) -> bool:
    """Whether the bytes are not a response, but the rest of the previous response on the same connection."""
    same = before.connection == capture.connection and before.ended == "complete"
    return same and capture.ended == "invalid" and bool(capture.raw) and is_not_http(capture.raw)


@check("H2.own-answers", source="RFC 9112, 9.3.2: responses have the order of their requests")
def test_own_answers(proxy: ContractSession) -> None:
    """On one connection, no request gets the answer to another request."""
    streams = bool(assistant_text(proxy.stream))
    asked: list[SentQuestion] = []
    with proxy.server.connection() as connection:
        for number in range(REQUESTS):
            text, request_id = make_unique("말해"), f"own-{uuid.uuid4().hex}"
            body = proxy.with_target_model(question(text, stream=streams and number % 2 == 1, **limit_tokens(proxy)))
            capture = connection.call("POST", CHAT, json=body, headers=[("X-Request-Id", request_id)])
            asked.append(SentQuestion(text, request_id, capture))
    for before, one in pairwise(asked):
        expect(
            not is_rest(before.capture, LAST_CAPTURE.record(one.capture)),
            "a response",
            f"the rest of the previous answer: {describe(one.capture)}",
        )
    expect_own_answers(proxy, asked)
    answered = sum(each.capture.status == 200 for each in asked)
    if answered < 2:
        raise NotJudged(f"{answered} of {REQUESTS} requests on one connection get an answer", ("H2.ten",))
