"""G12: a stream arrives whole, however the gateway writes its events."""

import pytest

from lumen_conformance.contract.expectations import expect_whole
from lumen_conformance.contract.session import ContractSession
from lumen_conformance.gateway.event_styles import STYLES, in_style
from lumen_conformance.gateway.openai_requests import wants_stream
from lumen_conformance.http.client import Capture
from lumen_conformance.registry.declaration import Check, check_each
from lumen_conformance.registry.refutation import NotJudged

pytestmark = [pytest.mark.needs("gateway"), pytest.mark.profile("openai")]

TEXT = "Four short words here, and some more of them for a stream of several events."
LARGE_TEXT = " ".join(map(str, range(15_000)))  # beyond 65,536 bytes, where the line reader of Go ends by default
CHECKS = {
    "comments": Check("G12-comments", source="AIClient2API#695 read a comment as JSON; WHATWG HTML, 9.2.6"),
    "blank-lines": Check("G12-blank-lines", source="WHATWG HTML, 9.2.6: a blank line without data dispatches nothing"),
    "event-lines": Check(
        "G12-event-lines", source="WHATWG HTML, 9.2.6: fields beside data; message is the default type"
    ),
    "crlf": Check("G12-crlf", source="miruamel/xuan#194 dropped every chunk; WHATWG HTML, 9.2.5"),
    "no-space": Check("G12-no-space", source="freellmapi#1087, opencodex#1170 dropped every chunk; WHATWG HTML, 9.2.6"),
    "one-packet": Check("G12-one-packet", source="urllib3.future#344 dropped all events but the first; RFC 9112, 7.1"),
    "large-event": Check("G12-large-event", source="ferro-labs/ai-gateway#129 ended the stream at 64 KB"),
    # A reader may discard an event without its blank line, and a stream without [DONE] may be an incomplete one.
    "no-final-blank-line": Check("G12-no-final-blank-line", tier="S", source="WHATWG HTML, 9.2.6"),
    "data-lines": Check("G12-data-lines", tier="W", source="WHATWG HTML, 9.2.6; no gateway is known to write it"),
}

HABITS = {
    "comments": "writes comments",
    "blank-lines": "writes blank lines between its events",
    "event-lines": "names and numbers its events",
    "crlf": "ends its lines with CRLF",
    "no-space": "writes no space after data:",
    "one-packet": "sends all events in one chunk",
    "large-event": "sends an event larger than 64 KB",
    "no-final-blank-line": "ends without a blank line",
    "data-lines": "writes an event on several data lines",
}


def ask_in_style(proxy: ContractSession, name: str, text: str) -> Capture:
    """Return the stream while the gateway writes its events in this form; not judged if it did not stream."""
    question, before = f"{name}: {TEXT}", len(proxy.gateway.chats)
    with proxy.gateway.scripted(in_style(STYLES[name], text)):
        capture = proxy.ask(question, stream=True)
    asked = [call for call in proxy.gateway.chats[before:] if call.message == question]
    if asked and not any(map(wants_stream, asked)):
        raise NotJudged("the gateway received a request for a plain answer", ("E9",))
    return capture


@check_each("name", {row: name for name, row in CHECKS.items()})
def test_style(name: str, proxy: ContractSession) -> None:
    """A stream arrives whole and ends well when the gateway writes its events in another legal form ({row})."""
    text = LARGE_TEXT if name == "large-event" else TEXT
    capture = ask_in_style(proxy, name, text)
    expect_whole(capture, text, although=f", although the gateway {HABITS[name]}")
