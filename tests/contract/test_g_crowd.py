"""C8.4, G7: concurrent clients get their own answers, with different ids.

By URL there are four clients, with --proxy-load and for all other targets twenty.
"""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from lumen_conformance.contract.exchanges import FEW_CLIENTS, MANY_CLIENTS
from lumen_conformance.contract.expectations import describe
from lumen_conformance.contract.failure_report import judge_exchanges
from lumen_conformance.contract.limits import ask_until_served
from lumen_conformance.contract.mixed_answers import SentQuestion, expect_own_answers, limit_tokens, make_unique
from lumen_conformance.contract.session import ContractSession
from lumen_conformance.http.capture import LAST_CAPTURE
from lumen_conformance.http.client import Capture
from lumen_conformance.http.documents import answer_json, assistant_text, choices, chunks
from lumen_conformance.registry.declaration import check
from lumen_conformance.registry.refutation import NotJudged, expect

PLACE_WITHIN_S = 60.0  # for a client that must retry: twenty answers take far less than a second


def ask_until_accepted(proxy: ContractSession, number: int) -> SentQuestion:
    """Ask with a unique text, every second time for a stream if the target streams; retry at a limit."""
    text = make_unique("말해")
    streamed = bool(number % 2) and bool(assistant_text(proxy.stream))
    capture = ask_until_served(proxy, text, within_s=PLACE_WITHIN_S, stream=streamed, **limit_tokens(proxy))
    return SentQuestion(text, "", capture)


@pytest.fixture(scope="module")
def concurrent_answers(proxy: ContractSession) -> list[SentQuestion]:
    """The questions and answers of concurrent clients."""
    many = MANY_CLIENTS if proxy.target.load else FEW_CLIENTS
    proxy.stream  # noqa: B018 -- made once, before the concurrent clients start
    with ThreadPoolExecutor(many) as pool:
        return list(pool.map(lambda number: ask_until_accepted(proxy, number), range(many)))


def is_own(one: SentQuestion) -> bool:
    """Whether a client has the answer to its own question."""
    return one.capture.status == 200 and assistant_text(one.capture) == one.text


def count_statuses(asked: list[SentQuestion]) -> str:
    """How many clients got which status."""
    counts = Counter(f"status {one.capture.status}" if one.capture.status else one.capture.ended for one in asked)
    return ", ".join(f"{number} of {len(asked)} clients: {status}" for status, number in counts.most_common())


def answers(concurrent_answers: list[SentQuestion], proxy: ContractSession) -> list[Capture]:
    """The responses with status 200; raises `NotJudged` when there are fewer than two."""
    found = [each.capture for each in concurrent_answers if each.capture.status == 200]
    if len(found) < 2:
        because_of = ("G7.1",) if "gateway" in proxy.target.can else ()
        got = count_statuses(concurrent_answers)
        raise NotJudged(
            f"{len(found)} of {len(concurrent_answers)} concurrent clients get an answer: {got}", because_of
        )
    return found


@check("C8.4", source="openapi.yaml: a unique identifier; BerriAI/litellm#28376: LiteLLM stores costs under this id")
def test_unique_ids(
    concurrent_answers: list[SentQuestion], proxy: ContractSession, request: pytest.FixtureRequest
) -> None:
    """The answers to concurrent clients have different ids."""
    captures = answers(concurrent_answers, proxy)
    judge_exchanges(request.node, captures)
    ids = [answer_id(capture) for capture in captures]
    if not all(choices(capture) for capture in captures):
        raise NotJudged(
            f"one of {len(ids)} concurrent answers has no choices", ("G7.1",) * ("gateway" in proxy.target.can)
        )
    if not all(ids):
        raise NotJudged("an answer has no id", ("C2.1", "C2.6", "E1.5"))
    expect_all_different(ids, "ids")


@check("G7.1", source="RFC 9112, 9.2: a response belongs to its request")
def test_no_cross_talk(concurrent_answers: list[SentQuestion], proxy: ContractSession) -> None:
    """Each concurrent client gets the answer to its own question."""
    if "gateway" in proxy.target.can:
        wrong = {n: one for n, one in enumerate(concurrent_answers, 1) if not is_own(one)}
        for number, one in wrong.items():
            LAST_CAPTURE.record(one.capture)
            found = f"client {number} got {describe(one.capture)}; {count_statuses(concurrent_answers)}"
            expect(holds=False, expected=f"status 200 and the client's own text {one.text!r}", found=found)
    answers(
        concurrent_answers, proxy
    )  # the answers of a model are unknown; they only must not be those to other questions
    expect_own_answers(proxy, concurrent_answers)


@check(
    "G7.3", tier="S", source="docs/protocol/errors.md: x-request-id; an id that two responses share identifies neither"
)
def test_unique_request_ids(concurrent_answers: list[SentQuestion]) -> None:
    """The responses to concurrent clients have different request ids."""
    ids = [str(each.capture.header("x-request-id") or "") for each in concurrent_answers]
    if not all(ids):
        raise NotJudged("a response has no x-request-id", ("F8",))
    expect_all_different(ids, "request ids")


def answer_id(capture: Capture) -> str:
    """The id of an answer, or of the first chunk of a stream; empty when there is none."""
    said_by = [chunk.value for chunk in chunks(capture)] or [answer_json(capture)]
    found = said_by[0].get("id")
    return found if isinstance(found, str) else ""


def expect_all_different(ids: list[str], what: str) -> None:
    """No id occurs twice."""
    twice = sorted({each for each in ids if ids.count(each) > 1})
    expect(
        not twice,
        f"{len(ids)} different {what}",
        f"{len(set(ids))} different {what}; more than once: {', '.join(twice[:3])}",
    )
