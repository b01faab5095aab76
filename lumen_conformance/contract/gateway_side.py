"""The gateway's side of an exchange: what the server asked the scripted gateway, and what that answered."""

from __future__ import annotations

from typing import Any, Final

from lumen_conformance.gateway.exchange import ReceivedRequest, SentBytes
from lumen_conformance.gateway.received import RECEIVED
from lumen_conformance.http.capture import Capture
from lumen_conformance.http.documents import cached_on_capture
from lumen_conformance.http.exchange_record import SHOWN_BYTES, text_of
from lumen_conformance.http.parallel import ran_alone
from lumen_conformance.registry.redaction import redactor

MOST_REQUESTS: Final = 3  # of one exchange: a request with the usual two repetitions
SHOWN_ANSWER_BYTES: Final = 600  # the head and the first bytes of the body


@cached_on_capture
def gateway_side(capture: Capture) -> dict[str, Any]:
    """Return the record: ``requests``, at most three, and ``more`` of them; ``requests`` is None if it is not known."""
    begin_s = capture.sent_mono_s - (capture.elapsed_s - capture.ended_s)
    found = RECEIVED.between(begin_s, capture.sent_mono_s + capture.ended_s) if ran_alone(capture) else None
    if found is None:
        return {"requests": None, "more": 0}
    shown = [_record(call, sent, begin_s) for call, sent in found[:MOST_REQUESTS]]
    return {"requests": shown, "more": len(found) - len(shown)}


def _record(call: ReceivedRequest, sent: SentBytes, begin_s: float) -> dict[str, Any]:
    body, first = (redactor().content(each) for each in (call.body, bytes(sent.first)))
    line = redactor().content(f"{call.method} {call.path} HTTP/{call.version}".encode()) if call.method else b""
    return {
        "at": round(call.at_mono_s - begin_s, 6),
        "line": text_of(line, SHOWN_ANSWER_BYTES),
        "body": text_of(body, SHOWN_BYTES),
        "bytes": len(call.body),
        "answer": text_of(first, SHOWN_ANSWER_BYTES),
        "answer_bytes": sent.number,
        "ended": sent.ended,
    }
