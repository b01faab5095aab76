"""What the suite knows of an answer that did not come: nothing, so that no stream is accused by it."""

from __future__ import annotations

import pytest

from lumen_conformance.contract.prerequisites import need_known
from lumen_conformance.contract.session import WORDS, Talk, question
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http.client import Capture, request_bytes
from lumen_conformance.registry.refutation import NotJudged
from lumen_conformance.targets.endpoint import CHAT, RemoteServer
from lumen_conformance.targets.target import Target

ORIGIN = "http://127.0.0.1:1"
WHOLE = b'{"choices": [{"index": 0, "message": {"content": "hello"}, "finish_reason": "stop"}]}'
UNFINISHED = b'{"choices": [{"index": 0, "message": {"content": "hello"}}]}'


@pytest.fixture
def gateway() -> ScriptedGateway:
    """One that is never asked."""
    return ScriptedGateway()


def talk_of(gateway: ScriptedGateway, status: int, body: bytes) -> Talk:
    """A talk whose question, plain or as a stream, was answered like this."""
    talk = Talk(RemoteServer(Target(url=ORIGIN, can=frozenset({"gateway"}))), gateway)
    request = request_bytes(ORIGIN, "POST", CHAT, json=question(WORDS))
    seen = Capture(ORIGIN + CHAT, request, status=status, body=body, ended="complete")
    talk.made.update(dict.fromkeys(("awkward", "awkward_stream", "plainer", "plainer_stream"), seen))
    return talk


def test_a_whole_answer_is_known(gateway: ScriptedGateway) -> None:
    """The text and the finish reason of the plain answer are known."""
    known = talk_of(gateway, 200, WHOLE).known
    assert (known.text, known.finish) == ("hello", "stop")


@pytest.mark.parametrize(
    ("status", "body", "text", "because_of"),
    [(500, b"", None, "C1.1"), (200, b'{"choices": []}', None, "C2.4"), (200, UNFINISHED, "hello", "C4.4")],
)
def test_what_did_not_come_is_unknown(
    gateway: ScriptedGateway, status: int, body: bytes, text: str | None, because_of: str
) -> None:
    """Of an answer that failed nothing is known, and a claim about it is not judged because of the check that fails."""
    talk = talk_of(gateway, status, body)
    assert (talk.known.text, talk.known.finish) == (text, None)
    with pytest.raises(NotJudged) as caught:
        need_known(talk, "finish")
    assert caught.value.because_of == (because_of,)
