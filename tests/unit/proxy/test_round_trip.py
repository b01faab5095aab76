"""Any text makes the round trip: through the proxy's own functions, and through one live proxy."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lumen_conformance.gateway.replies import answer_with
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http.documents import said
from lumen_conformance.run import Run
from lumen_proxy.wire import lumen, openai, sse
from lumen_proxy.wire.chat_request import parse
from lumen_proxy.wire.folding import fold
from tests.unit.conformance import samples
from tests.unit.proxy.serving import Serving, serving

LIVE_EXAMPLES = 60  # each is two exchanges of a few milliseconds
ANY = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300)
# What has broken servers: jamo, joiners, separators, words of the protocol, halves of escapes.
PIECES = [*'가각 \r\n\t\x00\x7f"\\/', "\u1100", "\u1161", "\u200d", "👩", "\u2028", "\u0085", "\ufeff", "\ufffd",
          "data: ", "[DONE]", "\\u"]  # fmt: skip
ODD = st.lists(st.sampled_from(PIECES), min_size=1, max_size=60).map("".join)
UNHURRIED = settings(deadline=None)  # a busy machine is no defect
TEXTS = (ANY | ODD).filter(str.strip)  # a blank question or answer is refused, as it should be


def asked(text: str, **fields: object) -> bytes:
    """A request as a client writes it."""
    return json.dumps({"messages": [{"role": "user", "content": text}], **fields}, ensure_ascii=False).encode()


@UNHURRIED
@given(TEXTS)
@example("data: [DONE]\n\n")
@example("\u2028\u0085\ufeff")
def test_text_reaches_the_gateway(text: str) -> None:
    """What a client asks is what the gateway is asked, character by character."""
    request = parse(asked(text))
    message = fold(request.messages, max_chars=32_000).text
    assert json.loads(json.dumps(lumen.gateway_request(message, None, None)))["message"] == text


@UNHURRIED
@given(TEXTS, st.booleans())
def test_text_reaches_the_client(text: str, ascii_only: bool) -> None:  # noqa: FBT001 -- drawn
    """What the gateway answers is what a client reads, plain or streamed, whatever the gateway escapes."""
    body = json.dumps({"success": True, "persona": None, "response": text, "sources": []}, ensure_ascii=ascii_only)
    answer = lumen.gateway_answer(body.encode())
    whole = openai.Completion(int(samples.NOW_S), "lumen-gateway", answer.text, openai.usage("a", text), {})
    events = b"".join(sse.event(chunk) for chunk in whole.chunks(include_usage=False)) + sse.DONE
    assert said(samples.plain(whole.whole())) == text
    assert said(samples.stream(events)) == text


@pytest.fixture(scope="module")
def live(run: Run) -> Iterator[tuple[Serving, ScriptedGateway]]:
    """One live proxy before one gateway."""
    with ScriptedGateway() as gateway, serving(gateway.url) as proxy, run.answering(gateway.url, proxy.url):
        yield proxy, gateway


@settings(max_examples=LIVE_EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(question=TEXTS, words=TEXTS, streamed=st.booleans())
def test_text_through_a_live_proxy(
    question: str, words: str, streamed: bool, live: tuple[Serving, ScriptedGateway]  # noqa: FBT001 -- drawn
) -> None:  # fmt: skip
    """A question and its answer go through sockets and come out as they went in."""
    proxy, gateway = live
    gateway.script(answer_with(words))
    seen = proxy.chat(question, stream=streamed)
    assert gateway.chats[-1].message == question
    assert (seen.status, said(seen)) == (200, words)
