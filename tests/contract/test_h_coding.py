"""H8: a body has a content coding only if the request accepts it, and then the one that its header says."""

import gzip
from collections.abc import Callable

import pytest

from lumen_conformance.checks.findings import child_object
from lumen_conformance.contract.expectations import describe_header, expect_failure, expect_usual_answer
from lumen_conformance.contract.session import ContractSession, question
from lumen_conformance.gateway.exchange import Exchange, Reply
from lumen_conformance.gateway.openai_requests import error
from lumen_conformance.gateway.replies import good
from lumen_conformance.gateway.response import ScriptedResponse, head, plain, with_common
from lumen_conformance.http.capture import Capture
from lumen_conformance.http.content_coding import coding_of, decoded, is_accepted
from lumen_conformance.http.documents import answer_json
from lumen_conformance.http.zstd import frame_zstd
from lumen_conformance.registry.declaration import check, check_each
from lumen_conformance.registry.refutation import NotJudged, expect
from lumen_conformance.targets.endpoint import CHAT

TEXT = "안녕"
ACCEPTED = "gzip, deflate, br, zstd"  # as browsers and clients with all decoders send it
CODED = ("Accept-Encoding", ACCEPTED)
ACCEPTING = {
    "H8-accepted-plain": ("POST", CHAT, question(TEXT)),
    "H8-accepted-stream": ("POST", CHAT, question(TEXT, stream=True)),
    "H8-accepted-error": ("GET", "/v1/nothing-here", None),
}
MESSAGE = "The scripted reason of a refusal."


@pytest.mark.parametrize("exchange", ["chat", "stream", "refusal", "lost", "models"], indirect=True)
@check("H8-unasked", source="RFC 9110, 12.5.3; Anionex/agent-vision-toolkit#36; openai-python 2.54.0 raises on br")
def test_no_coding_unasked(exchange: Capture) -> None:
    """A body has no content coding when the request accepts identity only."""
    coding = coding_of(exchange)
    found = f"Content-Encoding: {coding} although not accepted (status {exchange.status})"
    expect(not coding, "no Content-Encoding", found)
    expect_decoded(exchange)


def expect_decoded(capture: Capture) -> Capture:
    """The response without its content coding, which is the one that its header says, and accepted."""
    coding = coding_of(capture)
    accepted = not coding or is_accepted(capture, coding)
    expect(
        accepted,
        "no Content-Encoding, or one that the request accepts",
        f"Content-Encoding: {coding} although not accepted",
    )
    try:
        return decoded(capture)
    except ValueError as wrong:
        expect(holds=False, expected="a body with the coding that Content-Encoding says", found=str(wrong))
        raise


def ask_accepting(proxy: ContractSession, name: str) -> Capture:
    """A request that accepts codings, made once."""
    method, path, body = ACCEPTING[name]
    return proxy.once(name, lambda: proxy.call(method, path, json=body, headers=[CODED]))


@check_each(
    "name",
    {name: name for name in ACCEPTING},
    source="RFC 9110, 8.4; openai-python 2.54.0 raises APIConnectionError; open-webui/open-webui#23920",
)
def test_coding_as_labelled(name: str, proxy: ContractSession) -> None:
    """Where a client accepts codings, a body ({row}) has the one that Content-Encoding says, or none."""
    capture = ask_accepting(proxy, name)
    if capture.status is None:
        raise NotJudged(f"no response: {capture.ended}", ("F3-unknown-route",) if name.endswith("error") else ("C1.1",))
    read = expect_decoded(capture)
    if name != "H8-accepted-error" and not coding_of(read):  # else there is no decoder here, and the label is right
        expect_usual_answer(proxy, read, TEXT)


@check("H8-vary", tier="W", source="RFC 9110, 12.5.5; RFC 9111, 4.1: a cache would give the coded body to every client")
def test_vary(proxy: ContractSession) -> None:
    """A response with a content coding has Vary: Accept-Encoding."""
    coded = [capture for capture in (ask_accepting(proxy, name) for name in ACCEPTING) if coding_of(capture)]
    if not coded:
        pytest.skip("not applicable: no response has a content coding")
    for capture in coded:
        names = {name.strip().lower() for value in capture.header_all("vary") for name in value.split(",")}
        expect(bool(names & {"accept-encoding", "*"}), "Vary: Accept-Encoding", describe_header(capture, "Vary"))


def code(exchange: Exchange, response: ScriptedResponse, status: int = 200) -> None:
    """Send a response in a coding that its request accepts, zstd first; as it is where none is accepted."""
    listed = (exchange.call.header("accept-encoding") or "").lower()
    coders: dict[str, Callable[[bytes], bytes]] = {"zstd": frame_zstd, "gzip": gzip.compress}
    coding = next((name for name in coders if name in listed), None)
    if coding is None:
        response.send(exchange)
        return
    body = coders[coding](response.body)
    media = "text/event-stream" if response.chunked else "application/json"
    headers = with_common(exchange.call, (("Content-Encoding", coding), ("Vary", "Accept-Encoding")))
    ScriptedResponse(head(len(body), status, media, headers), (body,)).send(exchange)


def answer_coded(exchange: Exchange) -> None:
    """The echo, coded."""
    code(exchange, good(exchange.call))


def refuse_coded(exchange: Exchange) -> None:
    """An error of status 400, coded."""
    code(exchange, plain(exchange.call, error(MESSAGE), 400), 400)


GATEWAY_CODES = "RFC 9110, 8.4; open-webui/open-webui#23876; headroomlabs-ai/headroom#51"


def ask_coding_gateway(proxy: ContractSession, reply: Reply, *, accepts: bool = False, stream: bool = False) -> Capture:
    """Ask while the gateway codes its responses where its client accepts it."""
    with proxy.failing(reply):
        return proxy.post(question(TEXT, stream=stream), headers=[CODED] if accepts else [])


@check_each("stream", {"H8-gateway-plain": False, "H8-gateway-stream": True}, source=GATEWAY_CODES)
def test_coding_of_the_gateway(stream: bool, proxy: ContractSession) -> None:  # noqa: FBT001 -- a row
    """An answer ({row}) that the gateway sends in a coding reaches a client that accepts none."""
    capture = ask_coding_gateway(proxy, answer_coded, stream=stream)
    expect_usual_answer(proxy, expect_decoded(capture), TEXT)


@check("H8-gateway-accepted", source=GATEWAY_CODES)
def test_coding_that_only_the_client_knows(proxy: ContractSession) -> None:
    """A client that accepts more codings than the server knows gets its answer."""
    before = len(proxy.gateway.chats)
    capture = expect_decoded(ask_coding_gateway(proxy, answer_coded, accepts=True))
    accepted = sorted({call.header("accept-encoding") or "none" for call in proxy.gateway.chats[before:]})
    expect_usual_answer(
        proxy, capture, TEXT, at=f"the request to the gateway has Accept-Encoding: {'; '.join(accepted)}"
    )


@check("H8-gateway-error", tier="S", source="router-for-me/CLIProxyAPI#1895: the coded bytes are the message")
def test_coded_error_of_the_gateway(proxy: ContractSession) -> None:
    """An error that the gateway sends in a coding is an error with a readable message."""
    capture = expect_decoded(ask_coding_gateway(proxy, refuse_coded))
    expect_failure(capture)
    message = child_object(answer_json(capture), "error").get("message")
    readable = not isinstance(message, str) or (message.isprintable() and "\ufffd" not in message)
    found = f"status {capture.status} and a message that begins with {str(message)[:2]!r}"
    expect(readable, "an error with a message of printable characters", found)
