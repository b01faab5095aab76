"""Any text makes the round trip unchanged: through the functions of the proxy, and through a running proxy."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lumen_conformance.gateway.replies import answer_with
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http.documents import assistant_text
from lumen_conformance.run import Run
from lumen_proxy.wire import lumen, openai
from lumen_proxy.wire.chat_request import parse
from lumen_proxy.wire.folding import fold
from tests.unit.conformance import samples
from tests.unit.proxy.running_proxy import RunningProxy, run_proxy

LIVE_EXAMPLES = 60  # each has two exchanges of a few milliseconds
ANY = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300)
# Texts that have broken servers: jamo, joiners, separators, keywords of the protocol, parts of escapes.
PIECES = [*'가각 \r\n\t\x00\x7f"\\/', "\u1100", "\u1161", "\u200d", "👩", "\u2028", "\u0085", "\ufeff", "\ufffd",
          "data: ", "[DONE]", "\\u"]  # fmt: skip
ODD = st.lists(st.sampled_from(PIECES), min_size=1, max_size=60).map("".join)
UNHURRIED = settings(deadline=None)  # the machine may be busy
TEXTS = (ANY | ODD).filter(str.strip)  # a blank question or answer is refused


def request_of(text: str, **fields: object) -> bytes:
    """A request as a client writes it."""
    return json.dumps({"messages": [{"role": "user", "content": text}], **fields}, ensure_ascii=False).encode()


@UNHURRIED
@given(TEXTS)
@example("data: [DONE]\n\n")
@example("\u2028\u0085\ufeff")
def test_text_reaches_the_gateway(text: str) -> None:
    """The gateway receives the text of the client unchanged."""
    request = parse(request_of(text))
    message = fold(request.messages, max_chars=32_000).text
    assert json.loads(json.dumps(lumen.gateway_request(message, None, None)))["message"] == text


@UNHURRIED
@given(TEXTS, st.booleans())
def test_text_reaches_the_client(text: str, ascii_only: bool) -> None:  # noqa: FBT001 -- drawn
    """The client reads the text of the gateway unchanged, plain or streamed, with any escapes."""
    body = json.dumps({"success": True, "persona": None, "response": text, "sources": []}, ensure_ascii=ascii_only)
    answer = lumen.gateway_answer(body.encode())
    whole = openai.Completion(int(samples.NOW_S), "lumen-gateway", answer.text, openai.usage("a", text), {})
    events = b"".join(openai.event(chunk) for chunk in whole.chunks(include_usage=False)) + openai.DONE
    assert assistant_text(samples.plain(whole.whole())) == text
    assert assistant_text(samples.stream(events)) == text


@pytest.fixture(scope="module")
def live(run: Run) -> Iterator[tuple[RunningProxy, ScriptedGateway]]:
    """One running proxy in front of one gateway."""
    with ScriptedGateway() as gateway, run_proxy(gateway.url) as proxy, run.allow_ports(gateway.url, proxy.url):
        yield proxy, gateway


@settings(max_examples=LIVE_EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(question=TEXTS, answer=TEXTS, streamed=st.booleans())
def test_text_through_a_live_proxy(
    question: str, answer: str, streamed: bool, live: tuple[RunningProxy, ScriptedGateway]  # noqa: FBT001 -- drawn
) -> None:  # fmt: skip
    """A question and its answer pass through sockets unchanged."""
    proxy, gateway = live
    gateway.script(answer_with(answer))
    capture = proxy.chat(question, stream=streamed)
    assert gateway.chats[-1].message == question
    assert (capture.status, assistant_text(capture)) == (200, answer)
