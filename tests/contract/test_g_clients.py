"""G6: clients that disconnect."""

import time
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from lumen_conformance.contract.exchanges import STREAMED
from lumen_conformance.contract.expectations import describe
from lumen_conformance.contract.request_limits import LONGEST_WAIT_S, RETRIES
from lumen_conformance.contract.session import FIRST_CONTENT, ContractSession, question
from lumen_conformance.gateway.exchange import ReceivedRequest
from lumen_conformance.gateway.replies import silent, spread
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http.capture import Capture
from lumen_conformance.http.documents import finish_of
from lumen_conformance.registry.declaration import check
from lumen_conformance.registry.measurement import MeasureFixture
from lumen_conformance.registry.refutation import Failure, NotJudged, Refuted, expect
from lumen_conformance.targets.endpoint import CHAT
from lumen_conformance.targets.launch import Launcher
from lumen_conformance.targets.target import Target
from lumen_conformance.waiting import observe

pytestmark = pytest.mark.needs("gateway")

PATIENCE_S = 60.0  # the timeout of the client, longer than the test
CLOSED_WITHIN_S = 5.0  # docs/behaviour.md: a client that goes away frees its call within 5 s
OPEN_S = 10.0  # a connection that is not closed by then stays open; a later end than 5 s is measured
LASTS = 2  # times that: a stream that ends later than any good server has closed it
LONG_TEXT = "one more word " * 50  # a piece of it comes every half second, and a server notices at one of the next two


@pytest.fixture(scope="module")
def early_stream_proxy(
    target: Target, request: pytest.FixtureRequest, module_launch: Launcher, echo_gateway: ScriptedGateway
) -> ContractSession:
    """A proxy with early streams and a long deadline; for other targets, ``proxy``."""
    if target.profile != "lumen":
        patient: ContractSession = request.getfixturevalue("proxy")
        return patient
    env = {"LUMEN_STREAM_COMMIT_S": "0.05", "LUMEN_SSE_KEEPALIVE_S": "0.2", "LUMEN_STANDBY": "0"}
    return ContractSession(module_launch(gateway=echo_gateway, env=env), echo_gateway)


def wait_for_call(session: ContractSession, number: int, asked: Future[Capture]) -> ReceivedRequest:
    """The request to the gateway with this number; raises `Refuted` when there is none until the client's wait ends."""
    gateway, patience_s = session.gateway, RETRIES * LONGEST_WAIT_S + PATIENCE_S
    observe("the gateway is called", lambda: len(gateway.chats) >= number or asked.done(), within_s=patience_s)
    if len(gateway.chats) < number:
        raise Refuted(Failure("a request to the gateway", f"none; {describe(asked.result())}"))
    return gateway.chats[number - 1]


def disconnect(session: ContractSession, *, stream: bool) -> tuple[Capture, float | None]:
    """Disconnect a client that waits; return its capture, and the seconds until the gateway's connection is closed."""
    before, body = len(session.gateway.chats), question("안녕", stream=stream)
    with session.gateway.scripted(silent), session.server.connection() as client, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(session.call_on, client, "POST", CHAT, json=body, timeout_s=PATIENCE_S)
        call = wait_for_call(session, before + 1, asked)
        left_mono_s = time.monotonic()
        client.hang_up()
        open_s = session.gateway.wait_disconnect_s(call, within_s=OPEN_S)
    return asked.result(), None if open_s is None else call.at_mono_s + open_s - left_mono_s


# Tier M also for plain answers: openai-python 2.54.0 leaves after its time-out, whether it reads a stream or not, and
# asks twice more, so one question is paid three times. An end of its connection is all that a gateway can notice.
@STREAMED
@check("G6", source="BerriAI/litellm#37140: an answer is paid whose client has left, and another when it asks again")
def test_disconnected_client(stream: bool, early_stream_proxy: ContractSession, measure: MeasureFixture) -> None:  # noqa: FBT001 -- a row
    """The connection to the gateway is closed within 5 s after the client has disconnected."""
    capture, closed_s = disconnect(early_stream_proxy, stream=stream)
    # Aborted, or reset: when data arrives after the shutdown of the socket, Linux resets the connection.
    disconnected = capture.ended in {"aborted", "reset"}
    expect(disconnected, "no response before the client disconnected", describe(capture))
    expect_closed(closed_s, measure)


def expect_closed(closed_s: float | None, measure: MeasureFixture) -> None:
    """The connection to the gateway is closed so many seconds after the client has left; None: it is still open."""
    expected = f"the gateway connection closed within {CLOSED_WITHIN_S} s"
    if closed_s is None:
        expect(holds=False, expected=expected, found=f"still open after {OPEN_S} s")
    else:
        holds = measure(closed_s, "s", CLOSED_WITHIN_S) < CLOSED_WITHIN_S
        expect(holds, expected, f"closed after {closed_s:.3f} s")


@check(
    "G6-in-mid-stream",
    marks=(pytest.mark.profile("openai"),),
    source="sgl-project/sglang#37833: an answer is generated to its end, and paid, although its client has left",
)
def test_client_leaves_a_stream(proxy: ContractSession, measure: MeasureFixture) -> None:
    """The connection to the gateway is closed within 5 s after the client has left amid a stream."""
    before = len(proxy.gateway.chats)
    with proxy.gateway.scripted(spread(LASTS * OPEN_S)):
        capture = proxy.post(question(LONG_TEXT, stream=True), on_body=FIRST_CONTENT.search)
    left_mono_s = time.monotonic()
    calls = proxy.gateway.chats[before:]
    if not calls or not FIRST_CONTENT.search(capture.body) or finish_of(capture):
        raise NotJudged(f"no client can leave amid the stream: {describe(capture)}", ("E9",))
    open_s = proxy.gateway.wait_disconnect_s(calls[0], within_s=OPEN_S)
    expect_closed(None if open_s is None else calls[0].at_mono_s + open_s - left_mono_s, measure)
