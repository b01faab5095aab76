"""G6, G7: clients that leave, and clients that come all at once."""

import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.contract.talking import Talk, question
from tests.fixtures.capture import Capture
from tests.fixtures.gateway import Gateway
from tests.fixtures.judges.documents import answer, chunks, said
from tests.fixtures.processes import Launches
from tests.fixtures.replies import silent
from tests.fixtures.report.checks import check
from tests.fixtures.report.measuring import Measure
from tests.fixtures.served import CHAT
from tests.fixtures.targets import Target
from tests.fixtures.waiting import until

pytestmark = pytest.mark.needs("gateway")

PATIENCE_S = 60.0  # how long the client would have waited, had it not left
CLOSED_WITHIN_S = 5.0  # contract G6
AT_ONCE = 20  # contract G7
PLACE_WITHIN_S = 60.0  # for a client that was told to come again: twenty answers take far less than a second


@pytest.fixture(scope="module")
def early(target: Target, request: pytest.FixtureRequest, module_launch: Launches, echoing: Gateway) -> Talk:
    """A proxy whose streams begin at once, and whose deadline is far; a foreign one as it is."""
    if target.profile != "lumen":
        patient: Talk = request.getfixturevalue("talk")
        return patient
    env = {"LUMEN_STREAM_COMMIT_S": "0.05", "LUMEN_SSE_KEEPALIVE_S": "0.2", "LUMEN_STANDBY": "0"}
    return Talk(module_launch(gateway=echoing, env=env), echoing)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@check("G6")
def test_gone_client(stream: bool, early: Talk, measure: Measure) -> None:  # noqa: FBT001 -- a row
    """The gateway connection of a client that left is closed within 5 s."""
    early.gateway.script(silent)
    before = len(early.gateway.chats)
    with early.proxy.connection() as client, ThreadPoolExecutor(1) as pool:
        body = question("안녕", stream=stream)
        asking = pool.submit(client.call, "POST", CHAT, json=early.own(body), timeout_s=PATIENCE_S)
        asked = early.gateway.until_called(before + 1)
        left_mono_s = time.monotonic()
        client.hang_up()
        open_s = early.gateway.left_s(asked, within_s=2 * CLOSED_WITHIN_S)
    assert asking.result().ended == "aborted"
    assert open_s is not None, "the gateway connection is still open"
    closed_s = measure(asked.at_mono_s + open_s - left_mono_s, "s", CLOSED_WITHIN_S)
    assert closed_s < CLOSED_WITHIN_S


def patient_ask(talk: Talk, number: int) -> tuple[str, Capture]:
    """Ask with a nonce; come again when told to."""
    nonce = uuid.uuid4().hex

    def asked() -> Capture | None:
        seen = talk.ask(f"말해 {nonce}", stream=bool(number % 2))
        return None if seen.status == 429 and seen.header("retry-after") else seen

    return nonce, until("the proxy has a place", asked, within_s=PLACE_WITHIN_S)


@pytest.fixture(scope="module")
def crowd(talk: Talk) -> list[tuple[str, Capture]]:
    """Twenty clients at once, every other one with a stream."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda number: patient_ask(talk, number), range(AT_ONCE)))


@check("G7.1")
def test_no_cross_talk(crowd: list[tuple[str, Capture]]) -> None:
    """Each of twenty clients at once gets the answer to its own question."""
    assert [said(seen) for _, seen in crowd] == [f"말해 {nonce}" for nonce, _ in crowd]


@check("G7.2")
def test_unique_ids(crowd: list[tuple[str, Capture]]) -> None:
    """Each of twenty answers at once has an id of its own."""
    said_by = [chunks(seen)[0].value if chunks(seen) else answer(seen) for _, seen in crowd]
    ids = [str(value.get("id") or "") for value in said_by]
    assert "" not in ids
    assert len(set(ids)) == AT_ONCE


@check("G7.3", tier="S")
def test_unique_request_ids(crowd: list[tuple[str, Capture]]) -> None:
    """Each of twenty responses at once has a request id of its own."""
    assert len({seen.header("x-request-id") for _, seen in crowd}) == AT_ONCE
