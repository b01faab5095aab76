"""All servers for one client, in this process, with a log of the requests of each."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from http.client import HTTPException
from typing import Any

from breaks.selection import Served
from lumen_conformance.gateway.exchange import Exchange
from lumen_conformance.gateway.replies import echo
from lumen_conformance.gateway.server import ScriptedGateway
from tests.contract.clients.client_process import DIRECTED_REPLIES, KEY
from tests.fixtures.faults.reference.app import Reference
from tests.fixtures.faults.reference.http import Refused, Request, Response
from tests.fixtures.faults.reference.relay import Relay
from tests.fixtures.faults.reference.settings import Settings
from tests.fixtures.faults.reference.steps import Steps

COMMIT_S = 0.05  # of a server that begins its streams early: ten times less than the gateway waits before it fails
# The reasons that the references give; a client that does not pass one on has lost it.
REASONS = ("is not what it should be", "No such address", "A key is needed", "No such model", "could not answer")
SILENT_S = 2.0  # between the last event and the end of a body; as check D3.3 has it


@dataclass
class ServerLog:
    """The events of one server, in seconds of the monotonic clock.

    ``posted_s``  POST requests
    ``paid_s``    requests to the gateway
    ``silent_s``  begin and end of each silence before the end of a body
    ``reasons``   reasons of errors that were sent
    ``crashes``   exceptions during a request to the gateway that are no failures of the gateway; no fault raises them
    """

    posted_s: list[float] = field(default_factory=list)
    paid_s: list[float] = field(default_factory=list)
    silent_s: list[tuple[float, float]] = field(default_factory=list)
    reasons: list[tuple[float, str]] = field(default_factory=list)
    crashes: list[str] = field(default_factory=list)

    def watched(self, steps: Steps) -> Steps:
        """The same steps, which are logged."""

        def request(received: Request, settings: Settings) -> Request:
            received.body = respaced(received.body)
            length = str(len(received.body))
            received.headers = [
                (name, length if name == "content-length" else value) for name, value in received.headers
            ]
            return steps.request(received, settings)

        def response(request: Request | None, sent: Response) -> Response:
            if request is None or request.method == "POST":  # None: it was refused before it was read
                self.posted_s.append(time.monotonic())
            sent = steps.response(request, sent)
            if isinstance(sent.body, bytes):
                self._note_reason(sent.body)
            else:
                sent.body = self._timed(sent.body)
            return sent

        def call(*asked: Any) -> Any:  # noqa: ANN401 -- passed on as they are
            self.paid_s.append(time.monotonic())
            with self._crashes_noted():
                return steps.call(*asked)

        def forward(connection: Any, request: Request) -> Any:  # noqa: ANN401 -- same
            if request.method == "POST":
                self.paid_s.append(time.monotonic())
            with self._crashes_noted():
                return steps.forward(connection, request)

        return replace(steps, request=request, response=response, call=call, forward=forward)

    @contextmanager
    def _crashes_noted(self) -> Iterator[None]:
        try:
            yield
        except (Refused, HTTPException, OSError):
            raise  # the gateway has failed, or the client has left
        except Exception as error:
            self.crashes.append(repr(error))
            raise

    def _note_reason(self, data: bytes) -> None:
        self.reasons += [(time.monotonic(), reason) for reason in REASONS if reason.encode() in data]

    def _timed(self, body: Iterable[bytes]) -> Iterator[bytes]:
        last_s = time.monotonic()
        for piece in body:
            self._note_reason(piece)
            yield piece
            last_s = time.monotonic()
        if time.monotonic() - last_s >= SILENT_S:
            self.silent_s.append((last_s, time.monotonic()))


def respaced(body: bytes) -> bytes:
    """The same JSON with the white space of Python: some faults compare bytes of requests."""
    try:
        return json.dumps(json.loads(body)).encode()
    except ValueError:
        return body


@contextmanager
def opened(selected: Sequence[Served]) -> Iterator[dict[str, tuple[str, ServerLog]]]:
    """Serve all of them: name → base URL and log."""
    with ScriptedGateway(standing=directed) as gateway, ExitStack() as stack:
        found = {}
        for served in selected:
            log = ServerLog()
            reference = _launched(served, gateway.url, log)
            stack.callback(reference.server.close)
            found[served.name] = (f"{reference.url}/v1", log)
        yield found


def directed(exchange: Exchange) -> None:
    """Reply as the question directs, or repeat it."""
    DIRECTED_REPLIES.get(exchange.call.message, echo)(exchange)


def _launched(served: Served, gateway_url: str, log: ServerLog) -> Reference:
    environ = {"PROXY_API_KEY": KEY}
    if served.early:
        environ |= {"LUMEN_STREAM_COMMIT_S": str(COMMIT_S), "LUMEN_SSE_KEEPALIVE_S": str(COMMIT_S)}
    made = Relay if served.fault.profile == "openai" else Reference
    return made(Settings.of(gateway_url, environ), log.watched(served.fault.steps))
