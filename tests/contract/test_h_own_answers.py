"""H2-own-answers: on a connection that stays open, each request gets its own answer.

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


def ask_on_one_connection(session: ContractSession) -> list[SentQuestion]:
    """Ask for a plain answer and a stream in turn, if the target streams, each with its own text and request id."""
    streams = bool(assistant_text(session.stream))
    sent: list[SentQuestion] = []
    with session.server.connection() as connection:
        for number in range(REQUESTS):
            text, request_id = make_unique("말해"), f"own-{uuid.uuid4().hex}"
            fields = {"stream": streams and number % 2 == 1, **limit_tokens(session)}
            headers = [("X-Request-Id", request_id)]
            capture = session.call_on(connection, "POST", CHAT, json=question(text, **fields), headers=headers)
            sent.append(SentQuestion(text, request_id, capture))
    return sent


@check("H2-own-answers", source="RFC 9112, 9.3.2: responses have the order of their requests")
def test_own_answers(proxy: ContractSession) -> None:
    """On one connection, no request gets the answer to another request."""
    sent = ask_on_one_connection(proxy)
    for before, one in pairwise(sent):
        found = f"the rest of the previous answer: {describe(one.capture)}"
        expect(not is_rest(before.capture, LAST_CAPTURE.record(one.capture)), "a response", found)
    expect_own_answers(proxy, sent)
    answered = sum(each.capture.status == 200 for each in sent)
    if answered < 2:
        raise NotJudged(f"{answered} of {REQUESTS} requests on one connection get an answer", ("H2-ten",))
