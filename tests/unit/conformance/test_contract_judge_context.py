"""Without a plain answer its text is unknown, so that no stream fails because of it."""

from __future__ import annotations

import pytest

from lumen_conformance.contract.prerequisites import need_context
from lumen_conformance.contract.session import AWKWARD_TEXT, ContractSession, question
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
    """A gateway that receives no request."""
    return ScriptedGateway()


def session_of(gateway: ScriptedGateway, status: int, body: bytes) -> ContractSession:
    """A session whose shared questions got this response."""
    session = ContractSession(RemoteServer(Target(url=ORIGIN, can=frozenset({"gateway"}))), gateway)
    request = request_bytes(ORIGIN, "POST", CHAT, json=question(AWKWARD_TEXT))
    capture = Capture(ORIGIN + CHAT, request, status=status, body=body, ended="complete")
    session.captures.update(dict.fromkeys(("awkward", "awkward_stream", "plainer", "plainer_stream"), capture))
    return session


def test_a_whole_answer_is_known(gateway: ScriptedGateway) -> None:
    """The text and the finish reason of the plain answer are known."""
    known = session_of(gateway, 200, WHOLE).judge_context
    assert (known.text, known.finish) == ("hello", "stop")


@pytest.mark.parametrize(
    ("status", "body", "text", "because_of"),
    [(500, b"", None, "C1.1"), (200, b'{"choices": []}', None, "C2.4"), (200, UNFINISHED, "hello", "C4.4")],
)
def test_what_did_not_come_is_unknown(
    gateway: ScriptedGateway, status: int, body: bytes, text: str | None, because_of: str
) -> None:
    """The text of a failed answer is unknown, and a claim about it is not judged because of the check that fails."""
    session = session_of(gateway, status, body)
    assert (session.judge_context.text, session.judge_context.finish) == (text, None)
    with pytest.raises(NotJudged) as caught:
        need_context(session, "finish")
    assert caught.value.because_of == (because_of,)
