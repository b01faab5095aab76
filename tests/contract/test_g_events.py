"""G12: a stream arrives whole, however the gateway writes its events."""

import pytest

from lumen_conformance.contract.expectations import expect_whole
from lumen_conformance.contract.session import ContractSession
from lumen_conformance.gateway.event_styles import STYLES, in_style
from lumen_conformance.gateway.openai_requests import wants_stream
from lumen_conformance.http.client import Capture
from lumen_conformance.registry.declaration import Check, Tier, check_each
from lumen_conformance.registry.refutation import NotJudged

pytestmark = [pytest.mark.needs("gateway"), pytest.mark.profile("openai")]

TEXT = "Four short words here, and some more of them for a stream of several events."
LARGE_TEXT = " ".join(map(str, range(15_000)))  # beyond 65,536 bytes, where the line reader of Go ends by default
SPEC = "WHATWG HTML, 9.2.6"
SOURCES = {
    "comments": f"{SPEC}; justlovemaki/AIClient2API#695 read a comment as JSON",
    "blank-lines": f"{SPEC}: a blank line without data dispatches nothing",
    "event-lines": f"{SPEC}: fields beside data; message is the default type",
    "crlf": "WHATWG HTML, 9.2.5; miruamel/xuan#194 dropped every chunk",
    "no-space": f"{SPEC}; tashfeenahmed/freellmapi#1087, lidge-jun/opencodex#1170 dropped every chunk",
    "one-packet": "RFC 9112, 7.1; jawah/urllib3.future#344 dropped all events but the first",
    "large-event": "ferro-labs/ai-gateway#129 ended the stream at 64 KB",
    "no-final-blank-line": (
        "openai/openai-node#2725: gateways end so, and 7.15.0 lost the last event; a reader may discard it"
    ),
    "data-lines": f"{SPEC}: data lines of one event are joined",
}
# A reader may discard an event without its blank line, and no gateway is known to write several data lines.
TIERS: dict[str, Tier] = {"no-final-blank-line": "W", "data-lines": "W"}
CLAIM = "A stream arrives whole and ends well although the gateway {}"


def ask_in_style(proxy: ContractSession, name: str, text: str) -> Capture:
    """Return the stream while the gateway writes its events in this form; not judged if it did not stream."""
    question, before = f"{name}: {TEXT}", len(proxy.gateway.chats)
    with proxy.gateway.scripted(in_style(STYLES[name], text)):
        capture = proxy.ask(question, stream=True)
    asked = [call for call in proxy.gateway.chats[before:] if call.message == question]
    if asked and not any(map(wants_stream, asked)):
        raise NotJudged("the gateway received a request for a plain answer", ("E9",))
    return capture


@check_each("name", {
    Check(f"G12-{name}", TIERS.get(name, "M"), claim=CLAIM.format(STYLES[name].description), source=source): name
    for name, source in SOURCES.items()
})  # fmt: skip
def test_style(name: str, proxy: ContractSession) -> None:
    """A stream arrives whole and ends well, however the gateway writes its events ({row})."""
    text = LARGE_TEXT if name == "large-event" else TEXT
    capture = ask_in_style(proxy, name, text)
    expect_whole(proxy, capture, text, although=f", although the gateway {STYLES[name].description}")
