"""Each form of the events of the scripted gateway is a legal stream with the same text."""

import pytest

from lumen_conformance.gateway.event_styles import STYLES, in_style
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http.client import call
from lumen_conformance.http.documents import assistant_text, data_events, finish_of
from lumen_conformance.targets.endpoint import CHAT

TEXT = "안녕하세요, how are you today? I am fine, thank you."
QUESTION = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("name", STYLES)
def test_text_arrives(name: str, stream: bool, gateway: ScriptedGateway) -> None:  # noqa: FBT001 -- a row
    """The text, its finish reason and the end are those of the usual form."""
    gateway.script(in_style(STYLES[name], TEXT))
    capture = call(gateway.url, "POST", CHAT, json={**QUESTION, "stream": stream})
    assert (capture.status, assistant_text(capture), finish_of(capture)) == (200, TEXT, "stop")
    assert not stream or data_events(capture)[-1].data == b"[DONE]"
