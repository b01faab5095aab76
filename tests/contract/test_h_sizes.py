"""H6: requests as large as clients send them are answered: conversations, pictures and headers."""

from collections.abc import Callable

import pytest

from lumen_conformance.contract.conversations import CONVERSATIONS, UNUSUAL_CONVERSATIONS
from lumen_conformance.contract.exchanges import JSON
from lumen_conformance.contract.expectations import describe, expect_response, expect_usual_answer
from lumen_conformance.contract.forwarded import ForwardedRequest, forward
from lumen_conformance.contract.large_requests import (
    Messages,
    conversation,
    many_headers,
    one_long_header,
    padded,
    with_picture,
)
from lumen_conformance.contract.session import ContractSession, question
from lumen_conformance.contract.turns import describe_lost, same_turns
from lumen_conformance.http.capture import Capture
from lumen_conformance.registry.declaration import check, check_each
from lumen_conformance.registry.refutation import NotJudged, expect, shorten
from lumen_conformance.targets.endpoint import CHAT

TEXT = "안녕"
LIMITS = "nginx and Apache take 8 KB in a line, uvicorn and Node 16 KB in all headers"
LOST_CHARS = 60  # of the lost messages
HEADERS = {"H6-long-header": one_long_header, "H6-many-headers": many_headers}


def expect_no_size_limit(capture: Capture, bytes_: int, what: str) -> None:
    """A request is not refused for its size."""
    expect_response(capture, capture.status == 200, f"status 200 for {what} of {bytes_:,} bytes")


def expect_all_of(sent: ForwardedRequest, messages: Messages) -> None:
    """All messages arrive at the gateway."""
    expect(bool(sent.calls), "a request to the gateway", f"none; {describe(sent.capture)}")
    found = sent.received.get("messages")
    arrived = f"{len(sent.calls[0].body):,} of {len(sent.capture.request_body):,} bytes"
    lost = shorten(describe_lost(found, messages).removeprefix("; "), LOST_CHARS)
    expect(same_turns(found, messages), "every message in the request to the gateway", f"{arrived}; {lost}")


def need_small(proxy: ContractSession, name: str, messages: Messages) -> None:
    """Raise `NotJudged` unless a small conversation of this kind is answered and arrives."""
    small = forward(proxy, f"turns {name}", messages, stream=False)
    if small.is_refused:
        pytest.skip(f"the target refuses a small one of this kind: {describe(small.capture)}")
    if small.capture.status != 200 or not same_turns(small.received.get("messages"), messages):
        responsible = (f"G2-forwarded-{name}", *[f"H4-turns-{name}"] * (name in UNUSUAL_CONVERSATIONS))
        raise NotJudged(f"a small conversation: {describe(small.capture)}", responsible)


@check(
    "H6-large-body",
    source="128,000 tokens are some 500 KB; aider fails above Express's 100 KB (lutzleonhardt/copilot-proxy#4)",
)
def test_large_body(proxy: ContractSession) -> None:
    """A request of 400 KB, as a long conversation needs it, is answered, and all of it reaches the gateway."""
    if "gateway" not in proxy.target.can or proxy.target.profile == "lumen":  # a model has a limit of tokens
        capture = proxy.call("POST", CHAT, body=padded(question(TEXT)), headers=[JSON])
        expect_no_size_limit(capture, len(capture.request_body), "a body")
        expect_usual_answer(proxy, capture, TEXT)
        return
    need_small(proxy, "history", CONVERSATIONS["history"])
    sent = forward(proxy, "large", conversation(), stream=False)
    expect_no_size_limit(sent.capture, len(sent.capture.request_body), "a conversation")
    expect_all_of(sent, conversation())


@check(
    "H6-large-picture",
    marks=(pytest.mark.needs("gateway"), pytest.mark.profile("openai")),
    source="Open WebUI sends a picture as a data URL: mnfst/llm-gateway#2126, agentgateway/agentgateway#2715",
)
def test_large_picture(proxy: ContractSession) -> None:
    """A picture of 1 MB is answered, and reaches the gateway whole, where a small one does."""
    need_small(proxy, "image", UNUSUAL_CONVERSATIONS["image"])
    sent = forward(proxy, "large picture", with_picture(), stream=False)
    expect_no_size_limit(sent.capture, len(sent.capture.request_body), "a question with a picture, a body")
    expect_all_of(sent, with_picture())


@check_each(
    "headers",
    HEADERS,
    tier="S",
    source=f"{LIMITS}; 4 KB are too few for tokens and cookies (roadrunner#1336, websockets#1239, template-agent#347)",
)
def test_headers(headers: Callable[[], list[tuple[str, str]]], proxy: ContractSession) -> None:
    """A question whose headers have 7 KB ({row}) is answered."""
    capture = proxy.post(question(TEXT), headers=headers())
    expect_no_size_limit(capture, sum(len(name) + len(value) for name, value in headers()), "headers")
    expect_usual_answer(proxy, capture, TEXT)
