"""A hypothesis strategy for valid framings of the same events (WHATWG HTML, 9.2.6)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

COMMENTS = st.sampled_from([b"", b": ping", b":", b": data: x", ": 안녕\u2028".encode()])
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
PREFIXES = st.sampled_from([b"data: ", b"data:"])
INDENTS = st.sampled_from([None, None, 0, 1])  # an indented JSON text needs several data lines


@st.composite
def framings(draw: st.DrawFn, events: Sequence[Any]) -> bytes:
    """The events, each an object or the bytes of its data, in one valid framing."""
    body = draw(st.sampled_from([b"", b"\n", b"\r\n\r\n"]))
    for event in events:
        end = draw(ENDS)
        if comment := draw(COMMENTS):
            body += comment + end * draw(st.integers(2, 3))
        lines = _payload(draw, event).split(b"\n")
        body += b"".join(draw(PREFIXES) + line + end for line in lines) + end * draw(st.integers(1, 2))
    return body


def _payload(draw: st.DrawFn, event: object) -> bytes:
    if isinstance(event, bytes):
        return event
    return json.dumps(event, ensure_ascii=draw(st.booleans()), indent=draw(INDENTS)).encode()
