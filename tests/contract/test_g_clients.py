"""G6: clients that leave."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from lumen_conformance.contract.expectations import describe
from lumen_conformance.contract.session import Talk, question
from lumen_conformance.gateway.exchange import ReceivedRequest
from lumen_conformance.gateway.replies import silent
from lumen_conformance.gateway.server import CALLED_S, ScriptedGateway
from lumen_conformance.registry.declaration import check
from lumen_conformance.registry.measurement import Measure
from lumen_conformance.registry.refutation import Failure, Refuted, expect
from lumen_conformance.targets.endpoint import CHAT
from lumen_conformance.targets.launch import Launcher
from lumen_conformance.targets.target import Target
from lumen_conformance.waiting import Overdue

pytestmark = pytest.mark.needs("gateway")

PATIENCE_S = 60.0  # how long the client would have waited, had it not left
CLOSED_WITHIN_S = 5.0  # contract G6


@pytest.fixture(scope="module")
def early(target: Target, request: pytest.FixtureRequest, module_launch: Launcher, echoing: ScriptedGateway) -> Talk:
    """A proxy whose streams begin at once, and whose deadline is far; a foreign one as it is."""
    if target.profile != "lumen":
        patient: Talk = request.getfixturevalue("talk")
        return patient
    env = {"LUMEN_STREAM_COMMIT_S": "0.05", "LUMEN_SSE_KEEPALIVE_S": "0.2", "LUMEN_STANDBY": "0"}
    return Talk(module_launch(gateway=echoing, env=env), echoing)


def called(talk: Talk, times: int) -> ReceivedRequest:
    """The request of the gateway with this number; there must be one."""
    try:
        return talk.gateway.until_called(times, within_s=CALLED_S)
    except Overdue:
        raise Refuted(Failure("a request to the gateway", f"none within {CALLED_S} s")) from None


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@check("G6")
def test_gone_client(stream: bool, early: Talk, measure: Measure) -> None:  # noqa: FBT001 -- a row
    """The gateway connection of a client that left is closed within 5 s."""
    early.gateway.script(silent)
    before = len(early.gateway.chats)
    with early.proxy.connection() as client, ThreadPoolExecutor(1) as pool:
        body = question("안녕", stream=stream)
        asking = pool.submit(client.call, "POST", CHAT, json=early.own(body), timeout_s=PATIENCE_S)
        asked = called(early, before + 1)
        left_mono_s = time.monotonic()
        client.hang_up()
        open_s = early.gateway.wait_disconnect_s(asked, within_s=2 * CLOSED_WITHIN_S)
    seen, wanted = asking.result(), f"the gateway connection closed within {CLOSED_WITHIN_S} s"
    expect(seen.ended == "aborted", "no response before the client left", describe(seen))
    if open_s is None:
        expect(holds=False, expected=wanted, found=f"still open after {2 * CLOSED_WITHIN_S} s")
        return
    closed_s = measure(asked.at_mono_s + open_s - left_mono_s, "s", CLOSED_WITHIN_S)
    expect(closed_s < CLOSED_WITHIN_S, wanted, f"closed after {closed_s:.3f} s")
