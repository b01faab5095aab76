"""A gateway that resets at each point of a call, by its own count: no call is written twice."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import pytest

from lumen_conformance.gateway import replies
from lumen_conformance.gateway.exchange import at_accept
from tests.unit.proxy.running_proxy import run_proxy

if TYPE_CHECKING:
    from lumen_conformance.gateway.exchange import Exchange, Reply
    from lumen_conformance.gateway.server import ScriptedGateway
    from lumen_conformance.http.capture import Capture

BODY = replies.encoded(replies.lumen("ok"))
ANSWER = replies.head(len(BODY)) + BODY
QUESTION_BYTES = 260  # a few more than a call has here
STEP_BYTES = 7  # hits names, values and ends of headers, in one or two seconds
# A reset at the accept may arrive before or after the call is written. Before, the call is repeated, and the gateway
# is unreachable in the end; after, it is a lost connection.
AT_ACCEPT, UNREACHABLE = {"asked": 0}, "gateway_unreachable"
SETTINGS = {"LUMEN_BREAKER_FAILURES": "100000", "LUMEN_TIMEOUT_S": "5"}


@dataclass
class Resetting:
    """Counts the calls of which at least a byte arrived."""

    questions: int = 0

    def after(self, *, asked: int | None = None, answered: int = 0, reused: bool) -> Reply:
        """Reset after so many bytes of a call, or of its answer; on a reused connection of the second one."""

        def play(exchange: Exchange) -> None:
            if reused:
                self._read(exchange)
                exchange.send(ANSWER)
            self._read(exchange, asked)
            exchange.send(ANSWER[:answered])
            exchange.reset()

        return at_accept(play)

    def _read(self, exchange: Exchange, at_most: int | None = None) -> None:
        """Read so many bytes of a call, or all: only its body has a brace."""
        data = b""
        while not data.endswith(b"}") and len(data) != at_most:
            received = exchange.receive(1 if at_most else 65_536)
            if not received:
                return
            self.questions += not data
            data += received


def outcome(capture: Capture) -> str:
    """`answered`, or the code of the error."""
    assert capture.ended == "complete"
    return "answered" if capture.status == 200 else str(json.loads(capture.body)["error"]["code"])


@pytest.mark.parametrize("reused", [False, True], ids=["fresh", "reused"])
def test_a_call_is_written_once_wherever_the_gateway_resets(gateway: ScriptedGateway, reused: bool) -> None:  # noqa: FBT001 -- a row
    """It is answered, lost or unreached; the gateway counts at most the calls of the clients."""
    counting, calls = Resetting(), 0
    places = chain(
        ({"asked": count} for count in range(0, QUESTION_BYTES, STEP_BYTES)),
        ({"answered": count} for count in range(0, len(ANSWER) + STEP_BYTES, STEP_BYTES)),
    )
    outcomes = set()
    with run_proxy(gateway.url, **SETTINGS) as served:
        for place in places:
            gateway.standing = counting.after(**place, reused=reused)  # for each new connection
            for _ in range(1 + reused):
                result = outcome(served.chat())
                assert result != UNREACHABLE or (place == AT_ACCEPT and not reused), place
                outcomes.add(result)
                calls += 1
                assert counting.questions <= calls, place
    assert outcomes - {UNREACHABLE} == {"answered", "gateway_connection_lost"}
    assert counting.questions > calls * 0.9
